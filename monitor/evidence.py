"""What is kept of a failed check's response: headers without credentials, the beginning of the body. Pure."""

import re
from collections.abc import Iterable

from monitor.body import as_text
from monitor.config.public_url import MASK, mask_urls, names_a_secret
from monitor.result import Evidence

BODY_BYTES = 1_024
HEADERS_LENGTH = 8_192  # characters of names and values

# A URL that was cut may have lost the @ that shows that it contains a password.
_CUT_AUTHORITY = re.compile(r"://[^/?#\s\"'<>]*\Z")


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
        shown = _stored(mask_urls(shown))
        as_before = spelled.setdefault(name.lower(), name)
        kept[as_before] = f"{kept[as_before]}, {shown}" if as_before in kept else shown
    return Evidence(kept, as_text(body[:BODY_BYTES], charset, 4 * BODY_BYTES)[0])


def _cut(value: str, length: int) -> str:
    return value if len(value) <= length else _CUT_AUTHORITY.sub("://", value[:length])


def _is_secret(name: str) -> bool:
    lowered = name.lower()
    return "cookie" in lowered or (names_a_secret(name) and not lowered.endswith("-code"))


def _stored(value: str) -> str:
    text = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
