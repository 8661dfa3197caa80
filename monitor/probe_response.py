"""What a check has received, its body as text, and what is kept of it when the check fails."""

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache

from multidict import CIMultiDict, CIMultiDictProxy

from monitor.evidence import evidence
from monitor.result import Evidence
from monitor.tls_peer import SeenTls

_NO_HEADERS = CIMultiDictProxy(CIMultiDict[str]())
_LENGTH = re.compile(r"[0-9]{1,18}")  # fits into 64 bits
_MAX_DATE_LENGTH = 64


class Received:
    """What a check has received of the final response, so far."""

    __slots__ = (
        "body",
        "charset",
        "complete",
        "headers",
        "redirects",
        "status",
        "tls",
        "truncated",
        "version",
    )

    def __init__(self) -> None:
        self.status: int | None = None
        self.version: str | None = None
        self.redirects: int | None = None
        self.headers = _NO_HEADERS
        self.charset: str | None = None
        self.body = bytearray()
        self.complete = False
        self.truncated = False
        self.tls = SeenTls()

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
