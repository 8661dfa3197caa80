"""How checks connect: what they share, each connection timed, and what a redirect to another origin gets."""

import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any, Self, cast

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.helpers import is_ip_address
from yarl import URL

from monitor.config.model import Monitor
from monitor.probe.addresses import Denied, NoAddressError
from monitor.probe.dns import DnsResolver, GetAddrInfo, SystemResolver
from monitor.probe.protocol import BoundedProtocol
from monitor.probe.timing import Phase, current
from monitor.probe.tls import TlsContexts
from monitor.result import Reason

_FAMILIES = {"any": socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}
_LOOK_UP_SHARE = 0.5  # of the timeout, for DNS servers that do not answer
_KEPT_S = 120  # for which an unused connection is kept
_HARMLESS = ("accept", "user-agent")  # these headers, and those that begin with Accept-


class Network:
    """What all probes share: look-ups, connectors and TLS contexts (these are large)."""

    def __init__(self, max_lookups: int, getaddrinfo: GetAddrInfo = socket.getaddrinfo) -> None:
        self.resolver = SystemResolver(max_lookups, getaddrinfo)
        self.tls = TlsContexts()
        self._connectors: dict[tuple[object, ...], TimedConnector] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for connector in self._connectors.values():
            await connector.close()
        await self.resolver.close()

    def connector(self, monitor: Monitor) -> "TimedConnector":
        """Return the connector for the monitor's settings of DNS, addresses and kept connections."""
        limit_s = monitor.timeout_s * _LOOK_UP_SHARE if monitor.resolver else None
        key = (monitor.ip_family, monitor.reuse_connection, monitor.resolver, limit_s, monitor.deny_addresses)
        if key not in self._connectors:
            self._connectors[key] = TimedConnector(
                self.resolver if limit_s is None else DnsResolver(monitor.resolver, limit_s),
                _FAMILIES[monitor.ip_family],
                Denied(monitor.deny_addresses),
                keep=monitor.reuse_connection,
            )
        return self._connectors[key]


class TimedConnector(aiohttp.TCPConnector):
    """A connector that reports to the `current` check's `Timing`.

    aiohttp's own events surround DNS, TCP and TLS together. This one times each: aiohttp first opens
    the TCP socket and then, when it starts TLS, makes the protocol that the connection will talk to.

    No DNS cache, no limits. Connections are closed after one request unless `keep`.
    It connects to no address that is `denied`, whatever led to it.
    """

    def __init__(
        self, resolver: AbstractResolver, family: socket.AddressFamily, denied: Denied, *, keep: bool
    ) -> None:
        keeping: dict[str, Any] = {"keepalive_timeout": _KEPT_S} if keep else {"force_close": True}
        super().__init__(
            resolver=resolver,
            family=family,
            use_dns_cache=False,
            limit=0,
            socket_factory=_open_socket,
            **keeping,
        )
        make_protocol: Callable[..., ResponseHandler] = BoundedProtocol
        self._factory = partial(make_protocol, loop=self._loop)
        self._denied = denied

    async def connect(self, *args: Any, **kwargs: Any) -> aiohttp.connector.Connection:
        """Return a connection from the pool, or a new one."""
        timing = current.get()
        timing.connections += 1
        timing.sockets = 0
        timing.tls = None
        if timing.transport is not None and self.force_close:
            timing.transport.abort()  # the previous hop's: do not wait until its peer closes it
        connection = await super().connect(*args, **kwargs)
        timing.connected(cast("ResponseHandler", connection.protocol))
        return connection

    async def _resolve_host(self, host: str, port: int, *args: Any, **kwargs: Any) -> list[ResolveResult]:
        timing = current.get()
        one = timing.one_address
        if one is None or one.host != host:
            return self._allowed(await self._look_up(host, port, *args, **kwargs))
        if one.address is None:
            found = await self._look_up(host, port, *args, **kwargs)
            timing.enter(Phase.BETWEEN)
            one.choose(found)
        return self._allowed([one.resolved(port)])

    async def _look_up(self, host: str, port: int, *args: Any, **kwargs: Any) -> list[ResolveResult]:
        if not is_ip_address(host):
            current.get().enter(Phase.RESOLVE)
        found = await super()._resolve_host(host, port, *args, **kwargs)
        if not self._convert_hosts_to_addr_infos(found):  # an IP address in the URL, of the other family
            raise socket.gaierror(socket.EAI_ADDRFAMILY, "no address of this family")
        return found

    def _allowed(self, found: list[ResolveResult]) -> list[ResolveResult]:
        """Leave out denied addresses. What remains is connected to as it is: no name is looked up again."""
        allowed = [each for each in found if not self._denied.denies(each["host"])]
        if not allowed:
            denied = ", ".join(each["host"] for each in found)
            raise NoAddressError(Reason.BLOCKED_ADDRESS, f"{denied} must not be connected to")
        return allowed

    async def _wrap_create_connection(self, *args: Any, **kwargs: Any) -> Any:
        timing = current.get()
        timing.enter(Phase.CONNECT)
        if kwargs["ssl"] is None:
            return await super()._wrap_create_connection(*args, **kwargs)
        make_protocol, *others = args

        def begin_tls() -> ResponseHandler:
            timing.enter(Phase.TLS)
            protocol: ResponseHandler = make_protocol()
            return protocol

        return await super()._wrap_create_connection(begin_tls, *others, **kwargs)

    async def _start_tls_connection(self, *args: Any, **kwargs: Any) -> Any:
        current.get().enter(Phase.TLS)
        return await super()._start_tls_connection(*args, **kwargs)


def _open_socket(address: tuple[Any, Any, int, str, Any]) -> socket.socket:
    family, kind, proto, _, place = address
    timing = current.get()
    timing.ip = place[0].partition("%")[0]
    timing.sockets += 1
    return socket.socket(family, kind, proto)


class OwnOriginRequest(aiohttp.ClientRequest):
    """A request that sends what is configured only to its own `origin`.

    After a redirect has led to another origin, no hop gets a configured header except User-Agent and
    Accept…, nor the body, nor the client's certificate. This holds for the own origin, too, if a later
    redirect leads back to it: another site has then chosen what is requested there.

    aiohttp 3.14 removes only Authorization, Cookie and Proxy-Authorization. It sends all other headers,
    the body and the client's certificate to wherever a redirect leads.
    """

    def __init__(
        self,
        method: str,
        url: URL,
        *,
        origin: URL,
        tls_elsewhere: Callable[[], ssl.SSLContext],
        **request: Any,
    ) -> None:
        timing = current.get()
        timing.left_origin = timing.left_origin or url.origin() != origin
        if timing.left_origin:
            request["headers"] = {
                name: value for name, value in request["headers"].items() if _is_harmless(name.lower())
            }
            request["data"] = None
            request["ssl"] = tls_elsewhere()
        super().__init__(method, url, **request)


def _is_harmless(header: str) -> bool:
    return header in _HARMLESS or header.startswith("accept-")
