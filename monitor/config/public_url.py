"""URLs and texts of the configuration as they may be shown, without secrets.

A URL loses its user, password and secret query values; URLs and texts lose what came from the environment.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Self
from urllib.parse import unquote_plus

MASK = "***"

_SECRET_WORDS = frozenset(
    (
        "accesskey",
        "apikey",
        "auth",
        "authorization",
        "bearer",
        "code",
        "credential",
        "credentials",
        "hmac",
        "jwt",
        "key",
        "pass",
        "passphrase",
        "passwd",
        "password",
        "pwd",
        "secret",
        "session",
        "sessionid",
        "sid",
        "sig",
        "signature",
        "token",
    )
)
_SECRET_ENDINGS = ("apikey", "password", "secret", "sessionid", "signature", "token")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# A name without a value matches, too, so that no place is searched twice.
_PARAMETER = re.compile(r"[?&;#](?P<name>[^=&;#]*)(?:=(?P<value>[^&;#]*))?")

_USER = re.compile(r"[^:/?#]+://(?P<user>[^/?#]*)@")
_USER_ANYWHERE = re.compile(r"(?<=://)[^/?#\s\"'<>]*@")
_PARAMETER_ANYWHERE = re.compile(r"(?P<name>[?&;#][^=?&;#\s\"'<>]*=)[^?&;#\s\"'<>]*")


class Expanded(str):
    """A string with parts that came from the environment, or a file; `spans` are their starts and ends."""

    __slots__ = ("spans",)

    spans: tuple[tuple[int, int], ...]

    def __new__(cls, text: str, spans: tuple[tuple[int, int], ...]) -> Self:
        """Make a string with these spans."""
        expanded = super().__new__(cls, text)
        expanded.spans = spans
        return expanded


def names_a_secret(parameter: str) -> bool:
    """Return whether the value of a query parameter with this name is probably a secret."""
    words = [word.lower() for word in _WORD.findall(parameter)]
    return not _SECRET_WORDS.isdisjoint(words) or "".join(words).endswith(_SECRET_ENDINGS)


def is_secret_header(name: str) -> bool:
    """Return whether the value of a header with this name is probably a secret."""
    lowered = name.lower()
    return "cookie" in lowered or (names_a_secret(name) and not lowered.endswith("-code"))


def user_info(url: str) -> str:
    """Return `USER` or `USER:PASSWORD` of the URL, as written; empty where there is none."""
    found = _USER.match(url)
    return found["user"] if found else ""


def secret_values(url: str) -> list[str]:
    """Return the values of the URL's parameters that are probably secrets, as they are written."""
    return [each["value"] for each in _secret_parameters(url)]


def _secret_parameters(url: str, begin: int = 0) -> Iterator[re.Match[str]]:
    for each in _PARAMETER.finditer(url, begin):
        if each["value"] is not None and names_a_secret(unquote_plus(each["name"])):
            yield each


def public_text(text: str) -> str:
    """Return a text for people and logs; what came from the environment is masked."""
    shown, end = "", 0
    for start, stop in text.spans if isinstance(text, Expanded) else ():
        shown += text[end:start] + MASK
        end = stop
    return shown + text[end:]


def mask_urls(text: str) -> str:
    """Return a text of others without users, passwords and secret parameters in its URLs."""
    text = _USER_ANYWHERE.sub("", text)
    return _PARAMETER_ANYWHERE.sub(
        lambda found: found["name"] + MASK if names_a_secret(unquote_plus(found["name"])) else found[0], text
    )


def public_url(url: str) -> str:
    """Return the URL for people, logs and tables; what came from the environment is masked."""
    authority = url.find("://") + len("://")
    rest = next((at for at in range(authority, len(url)) if url[at] in "/?#"), len(url))
    shown_from = url.rfind("@", authority, rest) + 1
    masked = bytearray(len(url))
    for start, end in url.spans if isinstance(url, Expanded) else ():
        masked[start:end] = b"\1" * (end - start)
    for parameter in _secret_parameters(url, rest):
        start, end = parameter.span("value")
        masked[start:end] = b"\1" * (end - start)
    shown = [at for at in range(len(url)) if not authority <= at < shown_from]
    return "".join(
        MASK if hidden else "".join(url[at] for at in places)
        for hidden, places in groupby(shown, key=masked.__getitem__)
    )
