"""What a check has received."""

from multidict import CIMultiDict, CIMultiDictProxy

from monitor.tls_peer import SeenTls

_NO_HEADERS = CIMultiDictProxy(CIMultiDict[str]())


class Received:
    """What a check has received of the final response."""

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
