"""How checks connect: to a name's addresses, through a proxy, with TLS, one step after the other."""

import asyncio
import ipaddress
import os
import socket
import ssl
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any, Self, cast

import aiohappyeyeballs
from aiohttp.abc import AbstractResolver, ResolveResult

from monitor.config.model import Monitor
from monitor.probe.addresses import Denied, NoAddressError, resolved
from monitor.probe.dns import DnsResolver, GetAddrInfo, SystemResolver
from monitor.probe.exchange.request import Place, Request
from monitor.probe.exchange.tls import TlsContexts
from monitor.probe.exchange.wire import Wire
from monitor.probe.failures import (
    Failed,
    connect_failed,
    handshake_failed,
    look_up_failed,
    unusable_url,
)
from monitor.probe.timing import Phase, Timing
from monitor.result import OwnTroubleError, Reason
from monitor.runtime.text import quoted

_FAMILIES = {"any": socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}
_LOOK_UP_SHARE = 0.5  # of the timeout, for DNS servers that do not answer
_HAPPY_EYEBALLS_S = 0.25
_CONNECTED = 200
_LONGEST_IPV4 = len("255.255.255.255")
_LINK_LOCAL = "fe"  # and some others; to these, uvloop adds an interface that nobody has named


class Network:
    """What all probes share: look-ups, connectors, TLS contexts (these are large) and the environment."""

    def __init__(
        self,
        max_lookups: int,
        getaddrinfo: GetAddrInfo = socket.getaddrinfo,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.environ = environ
        self.resolver = SystemResolver(max_lookups, getaddrinfo)
        self.tls = TlsContexts()
        self._connectors: dict[tuple[object, ...], Connector] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.resolver.close()

    def connector(self, monitor: Monitor) -> "Connector":
        """Return the connector for the monitor's settings of DNS and addresses."""
        limit_s = monitor.timeout_s * _LOOK_UP_SHARE if monitor.resolver else None
        key = (monitor.ip_family, monitor.resolver, limit_s, monitor.deny_addresses)
        if key not in self._connectors:
            self._connectors[key] = Connector(
                self.resolver if limit_s is None else DnsResolver(monitor.resolver, limit_s),
                _FAMILIES[monitor.ip_family],
                Denied(monitor.deny_addresses),
            )
        return self._connectors[key]


class Connector:
    """Opens connections, to no address that is `denied`, whatever led to it. There is no DNS cache."""

    def __init__(self, resolver: AbstractResolver, family: socket.AddressFamily, denied: Denied) -> None:
        self._resolver = resolver
        self._family = family
        self._denied = denied

    async def connect(self, place: Place, timing: Timing, *, hold: bool) -> Wire:
        """Return a connection. With `hold` it reads nothing before TLS.

        Raises:
            Failed: there is none.
            OwnTroubleError: this machine cannot open one.

        """
        found = timing.offered = await self._addresses(place, timing)
        timing.enter(Phase.CONNECT)
        loop = asyncio.get_running_loop()
        make_wire = partial(Wire, loop, hold=hold)
        timing.ip = found[0]
        try:
            if len(found) == 1 and not found[0].startswith(_LINK_LOCAL):
                _, wire = await loop.create_connection(make_wire, found[0], place.port)
            else:
                sock = await _first_to_answer(found, place.port, timing)
                timing.ip = sock.getpeername()[0]
                _, wire = await loop.create_connection(make_wire, sock=sock)
        except OSError as error:
            timing.tried = timing.tried or {found[0]: error.errno}
            raise connect_failed(error, without_zone(timing.ip), place.port) from None
        except asyncio.CancelledError:
            timing.tried = timing.tried or {found[0]: None}
            raise
        finally:
            timing.ip = without_zone(timing.ip)
        wire.ip = timing.ip
        return wire

    async def _addresses(self, place: Place, timing: Timing) -> list[str]:
        one = timing.one_address
        if one is None or one.host != place.host:
            return self._allowed(await self._look_up(place, timing), timing)
        if one.address is None:
            found = await self._look_up(place, timing)
            timing.enter(Phase.BETWEEN)
            try:
                one.choose(found)
            except NoAddressError as error:
                raise look_up_failed(error, place.host) from None
        return self._allowed([one.resolved(place.port)], timing)

    async def _look_up(self, place: Place, timing: Timing) -> list[ResolveResult]:
        host, port = place
        if _is_address(host):
            if ":" not in host and not (len(host) <= _LONGEST_IPV4 and _is_usual(host)):
                raise unusable_url(redirected=timing.hops > 1)
            return self._of_family([resolved(host, host, port)], host)
        timing.enter(Phase.RESOLVE)
        try:
            found = timing.found = await self._resolver.resolve(host, port, self._family)
        except OSError as error:
            error.__traceback__ = None  # its frames hold the future that holds it
            if isinstance(error, NoAddressError):
                timing.found = error.answered
            raise look_up_failed(error, host) from None
        except RuntimeError as error:  # there is no thread
            raise OwnTroubleError(str(error)) from error
        return self._of_family(found, host)

    def _of_family(self, found: list[ResolveResult], host: str) -> list[ResolveResult]:
        if self._family:
            found = [each for each in found if each["family"] == self._family]
        if not found:
            raise Failed(Reason.DNS_NOT_FOUND, f"DNS has no address of {quoted(host)}")
        return found

    def _allowed(self, found: list[ResolveResult], timing: Timing) -> list[str]:
        """Leave out denied addresses. What remains is connected to as it is: no name is looked up again."""
        addresses = [each["host"] for each in found]
        if not self._denied:
            return addresses
        timing.denied = [each for each in addresses if self._denied.denies(each)]
        allowed = [each for each in addresses if each not in timing.denied]
        if not allowed:
            raise Failed(Reason.BLOCKED_ADDRESS, f"{', '.join(addresses)} must not be connected to")
        return allowed


async def begin_tls(wire: Wire, context: ssl.SSLContext, server_name: str, timing: Timing) -> None:
    """Encrypt the connection.

    Raises:
        Failed: the handshake failed; the connection is closed.

    """
    timing.enter(Phase.TLS)
    plain = wire.transport
    if plain is None or plain.is_closing():
        raise handshake_failed(ConnectionResetError())
    try:
        encrypted = await asyncio.get_running_loop().start_tls(
            plain, wire, context, server_hostname=server_name
        )
    except OSError as error:
        raise handshake_failed(error) from None
    except ValueError:
        raise unusable_url(redirected=timing.hops > 1) from None
    wire.secured(encrypted)
    timing.tls = wire.peer


async def open_tunnel(wire: Wire, request: Request) -> None:
    """Ask a proxy to connect to the site.

    Raises:
        Failed: it does not.

    """
    answer = await wire.ask(request)
    if answer.code != _CONNECTED:
        raise Failed(Reason.CONNECT_ERROR, f"the proxy answered {answer.code} to CONNECT")


class _Connecting:
    """What `start_connection` needs of the event loop: it notes what became of each address."""

    def __init__(self, tried: dict[str, int | None]) -> None:
        self._tried = tried
        self._loop = asyncio.get_running_loop()

    async def sock_connect(self, sock: socket.socket, place: tuple[str, int]) -> None:
        try:
            await self._loop.sock_connect(sock, place)
        except OSError as error:
            self._tried[place[0]] = error.errno
            raise
        self._tried[place[0]] = 0


async def _first_to_answer(addresses: list[str], port: int, timing: Timing) -> socket.socket:
    """Return a socket connected to one of the addresses (RFC 8305)."""
    places: list[aiohappyeyeballs.AddrInfoType] = [
        (_family_of(each), socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (each, port)) for each in addresses
    ]

    tried = timing.tried = {}

    def open_socket(place: tuple[Any, Any, int, str, Any]) -> socket.socket:
        timing.ip = address = place[4][0]
        tried[address] = None
        return socket.socket(*place[:3])

    return await aiohappyeyeballs.start_connection(
        places,
        happy_eyeballs_delay=_HAPPY_EYEBALLS_S,
        loop=cast("asyncio.AbstractEventLoop", _Connecting(tried)),
        socket_factory=open_socket,
    )


def _family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def without_zone(address: str) -> str:
    """Return an address without the interface that it may be of."""
    return address.partition("%")[0]


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


@lru_cache(maxsize=4096)
def _is_usual(host: str) -> bool:
    """Return whether an IPv4 address is written as usual: not as one number, nor shortened."""
    try:
        return str(ipaddress.IPv4Address(host)) == host
    except ValueError:
        return False
