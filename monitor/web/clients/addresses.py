"""Which client a request comes from, also behind proxies."""

import ipaddress
from collections.abc import Iterable

from aiohttp import web

from monitor.config.addresses import network

_MAX_PROXIES = 20  # in a row, between a client and this server
_CLIENT_BITS = 64  # of an IPv6 address: a client has at least a network of this size

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Clients:
    """Addresses of clients; what a proxy in the networks of `trusted_proxies` says of them is believed."""

    def __init__(self, trusted_proxies: Iterable[str]) -> None:
        self._trusted = [network(each) for each in trusted_proxies]

    def of(self, request: web.BaseRequest) -> str:
        """Return the client that sent the request: an IPv4 address, or the /64 network of an IPv6 address.

        Behind trusted proxies, it is the last address in X-Forwarded-For that is none of them.
        """
        client = _address(request.remote or "")
        forwarded = ",".join(request.headers.getall("X-Forwarded-For", ()))
        for named in map(_address, reversed(forwarded.split(",")[-_MAX_PROXIES:])):
            if named is None or not self._is_trusted(client):
                break
            client = named
        return _text(client)

    def of_peer(self, peer: str) -> tuple[str, bool]:
        """Return the client at the other end of a connection, and whether it is a proxy of many clients."""
        address = _address(peer)
        return _text(address), self._is_trusted(address)

    def _is_trusted(self, address: Address | None) -> bool:
        return address is not None and any(address in each for each in self._trusted)


def _address(written: str) -> Address | None:
    """Return the IP address, which may have a port; IPv4 that is written as IPv6 becomes IPv4."""
    bare = written.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _text(address: Address | None) -> str:
    if isinstance(address, ipaddress.IPv6Address):
        bits = address.max_prefixlen - _CLIENT_BITS
        return f"{ipaddress.IPv6Address(int(address) >> bits << bits)}/{_CLIENT_BITS}"
    return "" if address is None else str(address)
