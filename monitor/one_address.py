"""Which of a host's addresses a check connects to, where it may use only one."""

import ipaddress
import socket
from collections.abc import Callable, Iterable

from aiohttp.abc import ResolveResult

from monitor.no_address import NoAddressError
from monitor.result import Reason

_MAX_ADDRESSES = 32
_RESOLVED = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class OneAddress:
    """Keeps a check to one address of `host`, on each hop to that host.

    Without `address`, it is the first that the look-up finds; `on_others` gets the others.
    The order is IPv4 first, then by number.
    """

    __slots__ = ("_on_others", "address", "host")

    def __init__(
        self,
        host: str,
        address: str | None = None,
        on_others: Callable[[list[str]], None] = lambda _: None,
    ) -> None:
        self.host = host
        self.address = address
        self._on_others = on_others

    def choose(self, found: Iterable[ResolveResult]) -> None:
        """Keep to the first of these addresses from now on, and pass the others to `on_others`.

        Raises:
            NoAddressError: there are too many of them.

        """
        addresses = sorted({each["host"] for each in found}, key=_order)
        if len(addresses) > _MAX_ADDRESSES:
            raise NoAddressError(
                Reason.DNS_ERROR,
                f"{self.host} has {len(addresses)} addresses, at most {_MAX_ADDRESSES} are checked",
            )
        self.address = addresses[0]
        self._on_others(addresses[1:])

    def resolved(self, port: int) -> ResolveResult:
        """Return the chosen address as a resolver's result."""
        assert self.address is not None  # noqa: S101 - for the type checker
        return resolved(self.host, self.address, port)


def resolved(host: str, address: str, port: int) -> ResolveResult:
    """Return the address in the form in which aiohttp wants it from a resolver."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=_RESOLVED)


def _order(address: str) -> tuple[int, int]:
    read = ipaddress.ip_address(address)
    return read.version, int(read)
