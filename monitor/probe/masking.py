"""Replaces a monitor's own secrets in what is kept of a response: a site can send back what it got."""

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any
from urllib.parse import quote, quote_plus

from monitor.config.public_url import MASK
from monitor.runtime.text import quoted

MIN_LENGTH = 6  # characters of a secret that is masked, and of the beginning of one
MAX_LENGTH = 65_536  # characters of a secret that are masked; what is stored has no more by default

# What Go, Java and .NET escape in JSON, and how.
_SAFE_IN_HTML = tuple(
    [(sign, code.format(ord(sign))) for sign in signs]
    for signs, code in (("<>&", "\\u{:04x}"), ("<>&='+", "\\u{:04x}"), ("<>&'+`", "\\u{:04X}"))
)
# What frameworks escape in HTML beside <, > and &: none, Python, Java, PHP, Jinja, Go.
_IN_HTML = tuple(
    list(zip("\"'+", escaped, strict=False))
    for escaped in (
        (),
        ("&quot;", "&#x27;"),
        ("&quot;", "&#39;"),
        ("&quot;", "&#039;"),
        ("&#34;", "&#39;"),
        ("&#34;", "&#39;", "&#43;"),
    )
)
# What is not percent-encoded: nothing, in a path, by JavaScript's encodeURIComponent and by its encodeURI.
_IN_URLS = ("", "/", "!'()*", "!#$&'()*+,/:;=?@")
_HEX = re.compile(r"%[0-9A-F]{2}")


class Masking:
    """Replaces secrets in texts: as they are, quoted, in base64, percent-encoded, escaped for JSON and HTML.

    A text may have been cut: the beginning of a secret at its end is replaced, too.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        long = (secret[:MAX_LENGTH] for secret in secrets if len(secret) >= MIN_LENGTH)
        forms = {form for secret in long for form in _forms(secret)}
        self._forms = _longest_first(form for form in forms if len(form) >= MIN_LENGTH)

    def with_more(self, secrets: Iterable[str]) -> "Masking":
        """Return what replaces these secrets as well."""
        both = Masking(secrets)
        both._forms = _longest_first({*self._forms, *both._forms})
        return both

    def text(self, text: str) -> str:
        """Return a text without the secrets."""
        if len(text) < MIN_LENGTH:
            return text
        for form in self._forms:
            text = text.replace(form, MASK)
        return self._without_beginning(text)

    def line(self, text: str) -> str:
        """Return a line without the secrets, also where they are in small letters, as in names of hosts."""
        for form in self._in_small_letters:
            text = text.replace(form, MASK)
        return self.text(text)

    @cached_property
    def _in_small_letters(self) -> list[str]:
        return _longest_first({form.lower() for form in self._forms})

    def within(self, value: Any) -> Any:
        """Return what JSON can be, without the secrets in its texts."""
        match value:
            case str():
                return self.line(value)
            case dict():
                return {self.line(key): self.within(each) for key, each in value.items()}
            case list() | tuple():
                return [self.within(each) for each in value]
        return value

    def _without_beginning(self, text: str) -> str:
        end = text.rstrip("\N{REPLACEMENT CHARACTER}")  # where a character was cut
        for form in self._forms:
            at = end.find(form[:MIN_LENGTH], max(0, len(end) - len(form)))
            while at >= 0:
                if form.startswith(end[at:]):
                    return end[:at] + MASK
                at = end.find(form[:MIN_LENGTH], at + 1)
        return text


def _longest_first(forms: Iterable[str]) -> list[str]:
    return sorted(forms, key=len, reverse=True)


def _forms(secret: str) -> Iterator[str]:
    content = secret.encode("utf-8", "surrogatepass")
    for encoded in (*_in_base64(content), b64encode(content).decode()):
        yield from (encoded, encoded.translate(str.maketrans("+/", "-_")))
    yield from (secret, quoted(secret, MAX_LENGTH))
    yield from (_escaped(html.escape(secret, quote=False), signs) for signs in _IN_HTML)
    for each in (json.dumps(secret), json.dumps(secret, ensure_ascii=False)):
        yield from (each[1:-1], each[1:-1].replace("/", "\\/"))
        yield from (_escaped(each[1:-1], signs) for signs in _SAFE_IN_HTML)
    for each in (quote_plus(content), *(quote(content, safe) for safe in _IN_URLS)):
        yield from (each, _HEX.sub(lambda code: code[0].lower(), each))


def _escaped(text: str, signs: Iterable[tuple[str, str]]) -> str:
    for sign, escaped in signs:
        text = text.replace(sign, escaped)
    return text


def _in_base64(content: bytes) -> Iterator[str]:
    """Return what is the same wherever the content stands in something larger."""
    for before in range(3):
        encoded = b64encode(bytes(before) + content).decode()
        yield encoded[-(-before * 8 // 6) : (before + len(content)) * 8 // 6]
