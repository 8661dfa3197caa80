"""A look-up that ends without an address to connect to."""

from monitor.result import Reason


class NoAddressError(OSError):
    """The check can connect to no address of the host; `detail` says why, for a person."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
