"""Which part of a check runs now, and how long each one took.

aiohttp's own events surround DNS, TCP and TLS together. `TimedConnector` tells them
apart, using that aiohttp's connector first opens the TCP socket and then, while it
starts TLS, makes the protocol that the connection will talk to.
"""

import socket
import time
from contextvars import ContextVar
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.helpers import is_ip_address

from monitor.deny import Denied
from monitor.no_address import NoAddressError
from monitor.one_address import OneAddress
from monitor.result import Phases, Reason

if TYPE_CHECKING:
    from asyncio import Transport
    from collections.abc import Callable

    from monitor.tls_peer import Peer


class Stage(IntEnum):
    """What a check does at a moment; the first five are the phases, in their order."""

    RESOLVE = 0
    CONNECT = 1
    TLS = 2
    PROCESSING = 3
    TRANSFER = 4
    BETWEEN = 5


_clock = time.monotonic


class Timing:
    """The course of one check: each moment of it belongs to one stage."""

    __slots__ = (
        "_since",
        "_spent",
        "began",
        "connections",
        "ip",
        "kept",
        "only",
        "protocol",
        "sockets",
        "stage",
        "strayed",
        "tls",
        "transport",
    )

    def __init__(self, only: OneAddress | None = None) -> None:
        self.only = only
        self.stage = Stage.BETWEEN
        self.connections = 0  # asked for until now: one for each hop
        self.strayed = False  # a redirect has led to another origin
        self.kept = False  # the last one had been kept from an earlier check
        self.sockets = 0  # opened for the last one: one for each address that was tried
        self.ip: str | None = None  # the peer, or the address that was tried last
        self.protocol: ResponseHandler | None = None
        self.transport: Transport | None = None
        self.tls: Peer | None = None  # the last peer's
        self._spent: list[float | None] = [None] * len(Stage)
        self.began = self._since = _clock()

    def following(self, only: OneAddress) -> "Timing":
        """Begin another check with the look-up that this one has made, as if it were its own."""
        other = Timing(only)
        other.began = self.began
        other._spent[Stage.RESOLVE] = self._spent[Stage.RESOLVE]
        return other

    def so_far(self) -> float:
        """Tell the seconds since the check began."""
        return _clock() - self.began

    def enter(self, stage: Stage) -> None:
        """End the stage that runs and begin this one."""
        now = _clock()
        spent = self._spent
        spent[self.stage] = (spent[self.stage] or 0.0) + now - self._since
        self.stage = stage
        self._since = now

    def end(self) -> float:
        """End the check and let go of its connection; return the seconds since it began.

        The connection's context holds this timing: together they would be left to the garbage collector.
        """
        self.enter(Stage.BETWEEN)
        self.protocol = self.transport = None
        return self._since - self.began

    def phases(self) -> Phases:
        """Sum up the stages that ended."""
        return Phases(*self._spent[: Stage.BETWEEN])

    def connected(self, protocol: ResponseHandler) -> None:
        """Take note of the connection that is ready for a request."""
        self.kept = self.stage is Stage.BETWEEN
        self.protocol = protocol
        self.transport = protocol.transport
        if self.transport is not None:
            if self.sockets != 1 and (peer := self.transport.get_extra_info("peername")):
                self.ip = peer[0].partition("%")[0]
            self.tls = self.transport.get_extra_info("ssl_object")
        self.enter(Stage.PROCESSING)


current: ContextVar[Timing] = ContextVar("current")


def _open_socket(address: tuple[Any, Any, int, str, Any]) -> socket.socket:
    family, kind, proto, _, place = address
    timing = current.get()
    timing.ip = place[0].partition("%")[0]
    timing.sockets += 1
    return socket.socket(family, kind, proto)


class _Protocol(ResponseHandler):
    """Ends a body at once when what follows in it is no HTTP.

    aiohttp 3.14 can leave its reader waiting: it does not tell the body, or wakes the
    reader just before it does. The error is then found by the body's `exception`.
    """

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        body = self._payload
        super().set_exception(exc, *cause)
        if body is not None and not body.is_eof():
            if body.exception() is None:
                body.set_exception(exc, *cause)
            body.feed_eof()


class TimedConnector(aiohttp.TCPConnector):
    """A connector that reports to the `current` check's `Timing`.

    No DNS cache, no limits. Connections are closed after one request unless `keep`.
    What is `denied` is not dialled, whatever led to it.
    """

    def __init__(
        self, resolver: AbstractResolver, family: socket.AddressFamily, denied: Denied, *, keep: bool
    ) -> None:
        keeping: dict[str, Any] = {"keepalive_timeout": 120} if keep else {"force_close": True}
        super().__init__(
            resolver=resolver,
            family=family,
            use_dns_cache=False,
            limit=0,
            socket_factory=_open_socket,
            **keeping,
        )
        make_protocol: Callable[..., ResponseHandler] = _Protocol
        self._factory = partial(make_protocol, loop=self._loop)
        self._denied = denied

    async def connect(self, *args: Any, **kwargs: Any) -> aiohttp.connector.Connection:
        """Get a connection from the pool, or a new one."""
        timing = current.get()
        timing.enter(Stage.BETWEEN)
        timing.connections += 1
        timing.sockets = 0
        timing.tls = None
        if timing.transport is not None and self.force_close:
            timing.transport.abort()  # the hop before: a peer's farewell is not waited for
        connection = await super().connect(*args, **kwargs)
        timing.connected(cast("ResponseHandler", connection.protocol))
        return connection

    async def _resolve_host(self, host: str, port: int, *args: Any, **kwargs: Any) -> list[ResolveResult]:
        timing = current.get()
        only = timing.only if timing.only is not None and timing.only.host == host else None
        if only is not None and only.address is not None:
            return self._allowed(only.resolved(port))
        if not is_ip_address(host):
            timing.enter(Stage.RESOLVE)
        found = await super()._resolve_host(host, port, *args, **kwargs)
        if not self._convert_hosts_to_addr_infos(found):  # an IP address in the URL, of the other family
            raise socket.gaierror(socket.EAI_ADDRFAMILY, "no address of this family")
        if only is not None:
            timing.enter(Stage.BETWEEN)
            only.choose(found)
            found = only.resolved(port)
        return self._allowed(found)

    def _allowed(self, found: list[ResolveResult]) -> list[ResolveResult]:
        """Leave out what is denied; these very addresses are dialled, no name is looked up again."""
        allowed = [each for each in found if not self._denied.denies(each["host"])]
        if not allowed:
            denied = ", ".join(each["host"] for each in found)
            raise NoAddressError(Reason.BLOCKED_ADDRESS, f"{denied} must not be connected to")
        return allowed

    async def _wrap_create_connection(self, *args: Any, **kwargs: Any) -> Any:
        timing = current.get()
        timing.enter(Stage.CONNECT)
        if kwargs["ssl"] is None:
            return await super()._wrap_create_connection(*args, **kwargs)
        make_protocol, *others = args

        def begin_tls() -> ResponseHandler:
            timing.enter(Stage.TLS)
            protocol: ResponseHandler = make_protocol()
            return protocol

        return await super()._wrap_create_connection(begin_tls, *others, **kwargs)

    async def _start_tls_connection(self, *args: Any, **kwargs: Any) -> Any:
        current.get().enter(Stage.TLS)
        return await super()._start_tls_connection(*args, **kwargs)
