"""The body of a response as text that can be stored. Pure."""

import codecs
import re

# No text is written in these: they are slow, or decode to what no text may contain.
_REFUSED = {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined"}

_CHARSET = re.compile(r"""charset\s{0,9}=\s{0,9}["']?([\w.:+-]{1,40})""", re.ASCII | re.IGNORECASE)


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
