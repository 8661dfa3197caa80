"""What a check has received, its body as text, and what is kept of it when the check fails.

Headers are kept without credentials.
"""

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache

from multidict import CIMultiDict, CIMultiDictProxy

from monitor.config.public_url import MASK, mask_urls, names_a_secret
from monitor.probe.exchange.tls import SeenTls
from monitor.result import Evidence

BODY_BYTES = 1_024
HEADERS_LENGTH = 8_192  # characters of names and values

_CHARSET = re.compile(r"""charset\s{0,9}=\s{0,9}["']?([\w.:+-]{1,40})""", re.ASCII | re.IGNORECASE)
# No text is written in these: they are slow, or decode to what no text may contain.
_REFUSED = {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined"}
# A URL that was cut may have lost the @ that shows that it contains a password.
_CUT_AUTHORITY = re.compile(r"://[^/?#\s\"'<>]*\Z")
_LENGTH = re.compile(r"[0-9]{1,18}")  # fits into 64 bits
_MAX_DATE_LENGTH = 64


@dataclass(slots=True, eq=False)
class Received:
    """What a check has received of the final response, so far."""

    status: int | None = None
    version: str | None = None
    redirects: int | None = None
    headers: CIMultiDictProxy[str] = field(default_factory=lambda: CIMultiDictProxy(CIMultiDict()))
    charset: str | None = None
    body: bytearray = field(default_factory=bytearray)
    complete: bool = False
    truncated: bool = False
    tls: SeenTls = field(default_factory=SeenTls)

    @property
    def content_length(self) -> int | None:
        """The length before decompression, from the header."""
        length = self.headers.get("Content-Length", "")
        return int(length) if _LENGTH.fullmatch(length) else None

    @property
    def last_modified_at(self) -> float | None:
        """The header's date, in Unix seconds."""
        date = self.headers.get("Last-Modified", "")
        return _parsed_date(date) if 0 < len(date) <= _MAX_DATE_LENGTH else None

    def evidence(self, *, keep_body: bool) -> Evidence | None:
        """Return what is kept of the response; `None` if there was none."""
        if self.status is None:
            return None
        return evidence(self.headers.items(), self.body if keep_body else b"", self.charset)


@lru_cache(maxsize=4096)
def _parsed_date(text: str) -> float | None:
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def evidence(headers: Iterable[tuple[str, str]], body: bytes | bytearray, charset: str | None) -> Evidence:
    """Return what is kept, in characters that PostgreSQL's `jsonb` accepts.

    The header at the limit of all headers is cut, those after it are left out.
    """
    kept: dict[str, str] = {}
    spelled: dict[str, str] = {}
    left = HEADERS_LENGTH
    for name, value in headers:
        left -= len(name)
        if left <= 0:
            break
        shown = MASK if _is_secret(name) else _cut(value, left)
        left -= len(shown)
        raw = mask_urls(shown).encode("utf-8", "surrogateescape")
        shown, _ = as_text(raw, None, 4 * HEADERS_LENGTH)
        as_before = spelled.setdefault(name.lower(), name)
        kept[as_before] = f"{kept[as_before]}, {shown}" if as_before in kept else shown
    return Evidence(kept, as_text(body[:BODY_BYTES], charset, 4 * BODY_BYTES)[0])


def _cut(value: str, length: int) -> str:
    return value if len(value) <= length else _CUT_AUTHORITY.sub("://", value[:length])


def _is_secret(name: str) -> bool:
    lowered = name.lower()
    return "cookie" in lowered or (names_a_secret(name) and not lowered.endswith("-code"))


def charset_in(content_type: str) -> str | None:
    """Return the charset that a Content-Type header declares."""
    declared = _CHARSET.search(content_type)
    return declared[1] if declared else None


def as_text(body: bytes | bytearray, charset: str | None, limit: int) -> tuple[str, bool]:
    """Return the beginning of the body as text, at most `limit` bytes of UTF-8, and whether it was cut.

    An unknown or missing charset is read as UTF-8. What cannot be decoded becomes U+FFFD;
    so does NUL, which PostgreSQL refuses.
    """
    # No charset takes more than 4 bytes for a character that takes one byte in UTF-8.
    beginning = body[: 4 * limit + 4]
    text = decoded(beginning, charset).replace("\0", "\N{REPLACEMENT CHARACTER}")
    stored = text.encode("utf-8", "replace")
    return stored[:limit].decode("utf-8", "ignore"), len(stored) > limit or len(beginning) < len(body)


def decoded(body: bytes | bytearray, charset: str | None) -> str:
    """Return the whole body as text; what cannot be decoded becomes U+FFFD."""
    if charset:
        try:
            if codecs.lookup(charset).name not in _REFUSED:
                return body.decode(charset, "replace")
        except (LookupError, ValueError):
            pass
    return body.decode("utf-8", "replace")
