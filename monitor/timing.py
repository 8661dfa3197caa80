"""Which part of a check runs now, and how long each part took."""

import time
from contextvars import ContextVar
from enum import IntEnum
from typing import TYPE_CHECKING

from monitor.result import Phases

if TYPE_CHECKING:
    from asyncio import Transport

    from aiohttp.client_proto import ResponseHandler

    from monitor.one_address import OneAddress
    from monitor.tls_peer import Peer


class Stage(IntEnum):
    """What a check does at a moment. The first five are the phases of a result, in their order."""

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
        "left_origin",
        "one_address",
        "protocol",
        "response_time",
        "reused",
        "sockets",
        "stage",
        "timestamp",
        "tls",
        "transport",
    )

    def __init__(self, one_address: "OneAddress | None" = None) -> None:
        self.one_address = one_address
        self.stage = Stage.BETWEEN
        self.connections = 0  # asked for until now: one for each hop
        self.left_origin = False  # a redirect has led to another origin
        self.reused = False  # the last connection had been kept from an earlier check
        self.sockets = 0  # opened for the last connection: one for each address that was tried
        self.ip: str | None = None  # the peer, or the address that was tried last
        self.protocol: ResponseHandler | None = None
        self.transport: Transport | None = None
        self.tls: Peer | None = None  # the last peer's
        self._spent: list[float | None] = [None] * len(Stage)
        self.timestamp = time.time()  # when the check started, Unix seconds
        self.began = self._since = _clock()
        self.response_time = 0.0  # seconds from the start to the end

    def for_another(self, one_address: "OneAddress") -> "Timing":
        """Begin the check of another address, with the start and the look-up of this check."""
        other = Timing(one_address)
        other.timestamp = self.timestamp
        other.began = self.began
        other._spent[Stage.RESOLVE] = self._spent[Stage.RESOLVE]
        return other

    def so_far(self) -> float:
        """Return the seconds since the check began."""
        return _clock() - self.began

    def enter(self, stage: Stage) -> None:
        """End the stage that runs and begin this one."""
        now = _clock()
        spent = self._spent
        spent[self.stage] = (spent[self.stage] or 0.0) + now - self._since
        self.stage = stage
        self._since = now

    def end(self) -> None:
        """End the check: its `response_time` is known now, and its connection is forgotten.

        The connection's context refers to this timing: a cycle that only the garbage collector could free.
        """
        self.enter(Stage.BETWEEN)
        self.protocol = self.transport = None
        self.response_time = self._since - self.began

    def phases(self) -> Phases:
        """Return how long each phase took, without the stage that still runs."""
        return Phases(*self._spent[: Stage.BETWEEN])

    def connected(self, protocol: "ResponseHandler") -> None:
        """Record the connection that is ready for a request, and begin to wait for the response."""
        self.reused = self.stage is Stage.BETWEEN
        self.protocol = protocol
        self.transport = protocol.transport
        if self.transport is not None:
            if self.sockets != 1 and (peer := self.transport.get_extra_info("peername")):
                self.ip = peer[0].partition("%")[0]
            self.tls = self.transport.get_extra_info("ssl_object")
        self.enter(Stage.PROCESSING)


current: ContextVar[Timing] = ContextVar("current")
"""The timing of the check that runs in this context: aiohttp's hooks have no argument for it."""
