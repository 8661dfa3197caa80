"""What a check has received, and its body as text."""

import codecs
import encodings
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from encodings.aliases import aliases
from functools import lru_cache

from multidict import CIMultiDict, CIMultiDictProxy

from monitor.probe.exchange.tls import SeenTls
from monitor.probe.masking import Masking

_CHARSET = re.compile(r"""charset\s{0,9}=\s{0,9}["']?([\w.:+-]{1,40})""", re.ASCII | re.IGNORECASE)
# No text is written in these: they are slow, or decode to what no text may contain.
_REFUSED = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "utf_7"}
_ELSEWHERE = {"aliases", "mbcs", "oem"}  # no charsets on this system
# Python remembers for ever each name that it is asked for, so it is asked for these only.
_CHARSETS = {module.name for module in pkgutil.iter_modules(encodings.__path__)} - _REFUSED - _ELSEWHERE
# Without one of these marks at its beginning, text in them is read with the least byte first.
_MARKS = {
    "utf_16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
    "utf_32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
}
_PIECE_BYTES = 16_384  # decoded at once; this may take 4 ms, and holds the interpreter's lock
_LENGTH = re.compile(r"[0-9]{1,18}")  # fits into 64 bits
_MAX_DATE_LENGTH = 64
_UNMASKED = Masking()
_NO_HEADERS = CIMultiDictProxy(CIMultiDict[str]())
_NO_TLS = SeenTls()


@dataclass(slots=True, eq=False)
class Received:
    """What a check has received of the final response, so far."""

    status: int | None = None
    version: str | None = None
    redirects: int | None = None
    headers: CIMultiDictProxy[str] = field(default_factory=lambda: _NO_HEADERS)
    charset: str | None = None
    body: bytearray = field(default_factory=bytearray)
    truncated: bool = False
    tls: SeenTls = _NO_TLS

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


@lru_cache(maxsize=4096)
def _parsed_date(text: str) -> float | None:
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def charset_in(content_type: str) -> str | None:
    """Return the charset that a Content-Type header declares."""
    declared = _CHARSET.search(content_type)
    return declared[1] if declared else None


def as_text(
    body: bytes | bytearray, charset: str | None, limit: int, masking: Masking = _UNMASKED
) -> tuple[str, bool]:
    """Return the beginning of the body as text, at most `limit` bytes of UTF-8, and whether it was cut.

    Secrets are masked before it is cut.

    An unknown or missing charset is read as UTF-8. What cannot be decoded becomes U+FFFD;
    so does NUL, which PostgreSQL refuses.
    """
    if len(body) <= min(limit, _PIECE_BYTES) and body.isascii() and _is_plain(body, charset):
        return masking.text(body.decode("ascii")), False
    text, cut = bytearray(), False
    for piece in _pieces(body, charset):
        text += piece.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace")
        if len(text) > limit:
            cut = True
            break
    masked = masking.text(text.decode())
    return (masked.encode()[:limit].decode("utf-8", "ignore") if cut else masked), cut


def _is_plain(ascii_body: bytes | bytearray, charset: str | None) -> bool:
    """Return whether nothing in the body has to be replaced."""
    return _known(charset or "utf-8") == "utf_8" and 0 not in ascii_body


def in_utf8(body: bytes | bytearray, charset: str | None) -> bytes:
    """Return the whole body in UTF-8; what cannot be decoded becomes U+FFFD."""
    return b"".join(piece.encode("utf-8", "replace") for piece in _pieces(body, charset))


def _pieces(body: bytes | bytearray, charset: str | None) -> Iterator[str]:
    decoder = _decoder(charset or "utf-8", body[:4])
    for start in range(0, len(body), _PIECE_BYTES):
        end = start + _PIECE_BYTES
        yield decoder.decode(body[start:end], end >= len(body))


def _decoder(charset: str, beginning: bytes | bytearray) -> codecs.IncrementalDecoder:
    name = _known(charset)
    if name in _MARKS and not beginning.startswith(_MARKS[name]):
        name += "_le"
    return codecs.getincrementaldecoder(name)("replace")


@lru_cache(maxsize=4096)
def _known(charset: str) -> str:
    """Return the name of a charset; that of UTF-8 if no text is written in it."""
    name = encodings.normalize_encoding(charset).lower()
    name = aliases.get(name) or aliases.get(name.replace(".", "_"), name)
    if name not in _CHARSETS or not codecs.lookup(name)._is_text_encoding:  # noqa: SLF001 - as Python does
        return "utf_8"
    return name
