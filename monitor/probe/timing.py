"""Which part of a check runs now, and how long each part took."""

import time
from dataclasses import dataclass, field
from enum import IntEnum

from aiohttp.abc import ResolveResult

from monitor.probe.addresses import OneAddress
from monitor.probe.exchange.request import Request
from monitor.probe.exchange.tls import Peer
from monitor.result import Phases

_MAX_TRAIL = 10


class Phase(IntEnum):
    """What a check does at a moment: one of the five phases of a result, in their order, or none of them."""

    RESOLVE = 0
    CONNECT = 1
    TLS = 2
    PROCESSING = 3
    TRANSFER = 4
    BETWEEN = 5


_PHASES = len(Phase)


@dataclass(slots=True, eq=False)
class Timing:
    """The course of one check: each moment of it belongs to one phase."""

    one_address: OneAddress | None = None
    phase: Phase = Phase.BETWEEN
    hops: int = 0  # requests begun until now: one, and one for each redirect
    ip: str | None = None  # the peer, or the address that was tried last
    tls: Peer | None = None  # the last peer's
    presented: tuple[bytes, ...] = ()  # the certificates of a peer that were not accepted
    trail: tuple[tuple[Request, int, str | None], ...] = ()  # requests that led on; statuses and addresses
    led_to: Request | str = ""  # what the last of them led to, as it is written if that is no request
    found: list[ResolveResult] | None = None  # for the last request, if its host was looked up
    offered: list[str] | None = None  # the addresses of the last request that may be connected to
    denied: list[str] | None = None  # the others
    tried: dict[str, int | None] | None = (
        None  # what became of each: 0 or an error; none: the first connected
    )
    timestamp: float = field(default_factory=time.time)  # when the check started, Unix seconds
    began: float = field(default_factory=time.monotonic)
    response_time: float = 0.0  # seconds from the start to the end
    _since: float = field(init=False)
    _spent: list[float | None] = field(default_factory=lambda: [None] * _PHASES)

    def __post_init__(self) -> None:
        self._since = self.began

    def for_another(self, one_address: OneAddress) -> "Timing":
        """Begin the check of another address, with the start and the look-up of this check."""
        other = Timing(one_address, timestamp=self.timestamp, began=self.began)
        other._spent[Phase.RESOLVE] = self._spent[Phase.RESOLVE]
        other.found = self.found
        return other

    def follow(self, request: Request, status: int, following: Request | str) -> None:
        """Begin with what a response leads to; of many, the first are remembered."""
        self.led_to = following
        if len(self.trail) < _MAX_TRAIL:
            self.trail += ((request, status, self.ip),)
        self.found = self.offered = self.denied = self.tried = None

    def so_far(self) -> float:
        """Return the seconds since the check began."""
        return time.monotonic() - self.began

    def enter(self, phase: Phase) -> None:
        """End the phase that runs and begin this one."""
        now = time.monotonic()
        spent = self._spent
        spent[self.phase] = (spent[self.phase] or 0.0) + now - self._since
        self.phase = phase
        self._since = now

    def end(self) -> None:
        """End the check: its `response_time` is known now."""
        self.enter(Phase.BETWEEN)
        self.response_time = self._since - self.began

    def phases(self) -> Phases:
        """Return how long each phase took, without the phase that still runs."""
        return Phases(*self._spent[: Phase.BETWEEN])
