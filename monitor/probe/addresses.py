"""Which of a host's addresses a check may connect to."""

import ipaddress
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from aiohttp.abc import ResolveResult

from monitor.config.addresses import IPV4_MAPPED, PRIVATE, network
from monitor.result import DnsAnswer, Reason

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# From IANA's special-purpose registries. What Python calls private depends on its version.
_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",
            "2001::/23",
            "2001:db8::/32",
            "3fff::/20",
        ),
    )
)
_PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# IPv6 addresses that contain an IPv4 address in their last 32 bits and lead to it.
_TRANSLATED = (
    IPV4_MAPPED,
    _NAT64,
    *map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48")),
)
_LOOPBACK = (ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1"))

_MAX_ADDRESSES = 32
_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class Answered(list[ResolveResult]):
    """The addresses of a host, and the answers of DNS servers in which they are."""

    answers: Sequence[DnsAnswer] = ()


class NoAddressError(OSError):
    """The check can connect to no address of the host; `detail` is the cause, for a person."""

    answered: Answered | None = None

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Denied:
    """The addresses that `deny_addresses` denies: networks, or `"private"` for all that is not public."""

    def __init__(self, written: Iterable[str]) -> None:
        written = set(written)
        self._private = PRIVATE in written
        self._networks = tuple(map(network, sorted(written - {PRIVATE})))

    def __bool__(self) -> bool:
        return self._private or bool(self._networks)

    def denies(self, address: str) -> bool:
        """Return whether the address, or an IPv4 address that it leads to, is denied."""
        return any(
            (self._private and _is_private(form)) or any(form in each for each in self._networks)
            for form in _forms(ipaddress.ip_address(address))
        )


def _is_private(address: _Address) -> bool:
    if address in IPV4_MAPPED or address in _NAT64:
        return False  # `_forms` yields the IPv4 address in it, too
    if isinstance(address, ipaddress.IPv6Address) and address not in _PUBLIC_IPV6:
        return True
    return any(address in each for each in _NOT_PUBLIC)


def _forms(address: _Address) -> Iterator[_Address]:
    yield address
    if address.is_unspecified:
        yield from _LOOPBACK  # the system connects to this machine
    if isinstance(address, ipaddress.IPv6Address):
        if any(address in each for each in _TRANSLATED):
            yield from _forms(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.sixtofour is not None:
            yield from _forms(address.sixtofour)
        if address.teredo is not None:
            yield from address.teredo


@dataclass(slots=True, eq=False)
class OneAddress:
    """Keeps a check to one address of `host`, on each hop to that host.

    Without `address`, it is the first that the look-up finds; `on_others` gets the others.
    The order is IPv4 first, then by number.
    """

    host: str
    address: str | None = None
    on_others: Callable[[list[str]], None] = lambda _: None

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
        self.on_others(addresses[1:])

    def resolved(self, port: int) -> ResolveResult:
        """Return the chosen address as a resolver's result."""
        assert self.address is not None  # noqa: S101 - for the type checker
        return resolved(self.host, self.address, port)


def resolved(host: str, address: str, port: int) -> ResolveResult:
    """Return the address as aiohttp wants it from a resolver."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=_NUMERIC)


def _order(address: str) -> tuple[int, int]:
    read = ipaddress.ip_address(address)
    return read.version, int(read)
