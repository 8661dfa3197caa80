"""Which proxy the environment names for a URL, and which hosts are reached without one. Pure."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_EVERY = "*"
_SCHEMES = ("http", "https")


def proxies_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the proxies' URLs by the scheme that they are for: HTTP_PROXY, HTTPS_PROXY, small letters first.

    As for curl, an empty one is none, and one without a scheme speaks HTTP.
    """
    named = {scheme: _variable(environ, f"{scheme}_proxy") for scheme in _SCHEMES}
    return {scheme: url if "://" in url else f"http://{url}" for scheme, url in named.items() if url}


def no_proxy_of(environ: Mapping[str, str]) -> list[str]:
    """Return the hosts in NO_PROXY, in small letters first."""
    return [each.strip() for each in _variable(environ, "no_proxy").split(",") if each.strip()]


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, environ.get(name.upper(), ""))


class _Pattern(NamedTuple):
    name: str
    """A host and all hosts below it; empty: every host."""
    network: _Network | None
    port: int | None
    """None: every port."""


class WithoutProxy:
    """The hosts that are reached without a proxy.

    Each is written as a name, which stands for all names below it, too (a dot or `*.` before it changes
    nothing), as an address, as a network, or as `*`. A name or an address may have a port.
    """

    def __init__(self, written: Iterable[str]) -> None:
        self._patterns = tuple(_patterns(written))

    def has(self, host: str, port: int) -> bool:
        """Return whether the host is one of them, at this port."""
        host = host.lower().rstrip(".")
        address = _network(host)
        return any(each.port in {None, port} and _fits(each, host, address) for each in self._patterns)


def _fits(pattern: _Pattern, host: str, address: _Network | None) -> bool:
    if pattern.network is not None:
        return address is not None and address.network_address in pattern.network
    return not pattern.name or host == pattern.name or host.endswith(f".{pattern.name}")


def _patterns(written: Iterable[str]) -> Iterator[_Pattern]:
    for each in written:
        network = _network(each)
        host, colon, port = each.rpartition(":")
        if network is not None or not (colon and port.isdecimal()):
            host, port = each, ""
        host = host.strip("[]").lower()
        name = host.lstrip("*").strip(".")
        if name or host == _EVERY:
            yield _Pattern(name, network or _network(host), int(port) if port else None)


def _network(written: str) -> _Network | None:
    try:
        return ipaddress.ip_network(written, strict=False)
    except ValueError:
        return None
