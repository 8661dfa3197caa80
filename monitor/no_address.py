"""A look-up that ends without an address to dial."""

from monitor.result import Reason


class NoAddressError(OSError):
    """No address of the host can be dialled; `detail` says why, for a person."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
