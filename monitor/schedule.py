"""When each monitor is checked, and how many checks run at once.

A monitor is due at `offset + k * interval_s` of the wall clock; the offset is a
stable hash of its name, so monitors are spread by construction, do not drift, and
keep their slots over a restart. Retries are due at `offset + k * retry_interval_s`.
Checks that are due within a few milliseconds start together, none before its slot.
Waiting and lateness use the monotonic clock.
"""

import asyncio
import hashlib
import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from msgspec.structs import replace

from monitor.config.model import Monitor
from monitor.incidents.retries import Retries
from monitor.probe.probe import Checker
from monitor.result import CheckResult, Message, OwnTroubleError, encode
from monitor.result_log import ResultLog
from monitor.runtime.histogram import Buckets
from monitor.runtime.places import Places
from monitor.runtime.progress import Progress
from monitor.runtime.shared_sleep import SharedSleep
from monitor.runtime.tasks import Tasks
from monitor.sharing import LOOK_BACK_S, Shard, Sharing, own_shard, shard_of

log = logging.getLogger(__name__)

RAMP_PER_S = 50
_LATENESS_BOUNDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_TOGETHER = 200  # monitors that are looked at for missed slots, in a few milliseconds
_STOOD_STILL_S = 1.0
_REPEATED_SLOT_S = 0.001
NOT_SET_S = 0.1  # a clock that was adjusted while a check was waited for may be off by this much
SET_BACK_S = 10.0  # a check waits for a clock that was set back by up to this; then slots are repeated
_ROUNDED_S = 2e-6  # a slot is rounded to microseconds, and may lie this much before itself


def offset_s(name: str, interval_s: float) -> float:
    """Return the monitor's place within its interval: the same for the same name, on every machine."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64 * interval_s


@dataclass(slots=True)
class Slots:
    """The slots of one monitor, in the order in which they are used; each is used once.

    A wall clock that is set back repeats slots. A slot names its result, so a repeated
    slot is moved by a millisecond for each time that the clock was set back.
    """

    offset_s: float
    interval_s: float
    _last: float = -math.inf
    _highest: float = -math.inf
    _set_back: int = 0

    def next(self, now: float, interval_s: float | None = None) -> float:
        """Return the first unused slot after `now` (Unix seconds), and use it up.

        With another interval, it is one of that interval's grid, which has the same offset.
        """
        step_s = interval_s or self.interval_s
        index = math.floor((now - self.offset_s) / step_s) + 1
        slot = round(self.offset_s + index * step_s, 6)
        if slot == self._last:
            slot = round(self.offset_s + (index + 1) * step_s, 6)
        if slot < self._last:
            self._set_back += 1
        self._last = slot
        if slot <= self._highest:
            return round(slot + self._set_back * _REPEATED_SLOT_S, 6)
        self._highest = slot
        return slot

    def between(self, since: float, until: float) -> list[float]:
        """Return the slots after `since` until `until` (Unix seconds), oldest first; they are not used up."""
        first = math.floor((since + _ROUNDED_S - self.offset_s) / self.interval_s) + 1
        last = math.floor((until + _ROUNDED_S - self.offset_s) / self.interval_s)
        return [round(self.offset_s + index * self.interval_s, 6) for index in range(first, last + 1)]

    def passed(self, since: float, elapsed_s: float) -> int:
        """Return how many slots lie within `elapsed_s` after `since` (Unix seconds)."""
        index = (since + _ROUNDED_S - self.offset_s) / self.interval_s
        return math.floor(index + elapsed_s / self.interval_s) - math.floor(index)


@dataclass(slots=True, eq=False)
class _Entry:
    monitor: Monitor
    checker: Checker
    limit: Places
    shard: Shard
    checking: bool = False
    """Whether its own task makes a check."""
    ending: bool = False
    task: "asyncio.Task[None] | None" = field(default=None, repr=False)
    turn: "asyncio.Future[CheckResult] | None" = field(default=None, repr=False)
    """The check that runs or waits for its turn; cancelled when it was not made."""
    recorded: bool = True
    """Whether its result goes into the queue."""
    slots: Slots = field(init=False)
    retries: Retries | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.slots = Slots(offset_s(self.monitor.name, self.monitor.interval_s), self.monitor.interval_s)
        if self.monitor.retry_interval_s is not None:
            self.retries = Retries(self.monitor, self.monitor.retry_interval_s)

    @property
    def under_way(self) -> "asyncio.Future[CheckResult] | None":
        return None if self.turn is None or self.turn.done() else self.turn

    def take_turn(self, *, recorded: bool) -> "asyncio.Future[CheckResult]":
        self.recorded = recorded
        self.turn = asyncio.get_running_loop().create_future()
        return self.turn

    def settle(self, turn: "asyncio.Future[CheckResult]", result: CheckResult) -> None:
        """Set the result of a turn, and forget the turn: there is a body in it."""
        turn.set_result(result)
        self.turn = None

    async def free(self) -> None:
        """Wait until no check runs or waits for its turn."""
        while turn := self.under_way:
            await asyncio.wait([turn])

    def next_slot(self, now: float) -> float:
        return self.slots.next(now, self.retries.interval_s if self.retries else None)

    def end(self, tasks: Tasks) -> None:
        """Start no other check; one that runs finishes."""
        self.ending = True
        if self.task is not None and not self.checking:
            tasks.end(self.task)


_CheckEntry: TypeAlias = Callable[[_Entry, "asyncio.Future[CheckResult]"], Coroutine[Any, Any, None]]


async def _outcome(turn: "asyncio.Future[CheckResult]", within_s: float) -> CheckResult:
    await asyncio.wait([turn], timeout=within_s)
    if not turn.done():
        raise TimeoutError
    if turn.cancelled():
        raise OwnTroubleError("the check was not made")
    return turn.result()


class Schedule:
    """Runs the checks of all monitors and puts each result into the queue.

    Use as a context: on leaving, no new check starts, and running ones finish; with
    `once`, each monitor is checked once, and leaving waits for that. A checker that
    raises anything but `OwnTroubleError` is a bug and ends the context with it.
    """

    def __init__(
        self,
        queue: asyncio.Queue[Message | None],
        *,
        max_concurrent_checks: int,
        max_checks_per_host: int,
        once: bool = False,
        on_result: Iterable[Callable[[CheckResult], None]] = (),
        result_log: ResultLog | None = None,
        shared: Sharing | None = None,
    ) -> None:
        self._queue = queue
        self._concurrent = Places(max_concurrent_checks)
        self._others = Places(max(1, max_concurrent_checks // 2))
        self._max_checks_per_host = max_checks_per_host
        self._hosts: WeakValueDictionary[str, Places] = WeakValueDictionary()
        self._once = once
        self._ending = False
        self._on_result = on_result
        self._result_log = result_log or ResultLog()
        self._shared = shared
        self._shards = shared.shards if shared else [own_shard()]
        self._tasks = Tasks()
        self._sleep = SharedSleep(now=time.monotonic).sleep
        self._entries: dict[str, _Entry] = {}
        self._look_back: asyncio.Task[None] | None = None
        self.progress = Progress("the schedule")
        self.checks = 0
        self.skipped = 0
        self.own_troubles = 0
        self.lateness_s = Buckets(_LATENESS_BOUNDS)

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        if self._shared is not None:
            self._look_back = self._tasks.start("the look for missed slots", self._catch_up(self._shared))
        return self

    async def __aexit__(self, *failure: object) -> None:
        try:
            await asyncio.sleep(0)  # a task that has not begun would not close its checker
        except asyncio.CancelledError as error:
            failure = type(error), error, error.__traceback__
        self._ending = True
        if self._look_back is not None:
            self._tasks.end(self._look_back)
        for entry in self._entries.values():
            if not self._once:
                entry.end(self._tasks)
        await self._tasks.__aexit__(*failure)  # type: ignore[arg-type]

    def add(self, checkers: Iterable[tuple[Monitor, Checker]]) -> None:
        """Check each of these soon (50 a second), then at its slots; shared checks are made at slots only."""
        for position, (monitor, checker) in enumerate(checkers):
            entry = self._entry(monitor, checker)
            self._entries[monitor.name] = entry
            entry.task = self._tasks.start(
                f"monitor {monitor.name}", self._watch(entry, position / RAMP_PER_S)
            )

    def _entry(self, monitor: Monitor, checker: Checker) -> _Entry:
        host = urlsplit(monitor.url).hostname or ""
        limit = self._hosts.setdefault(host, Places(self._max_checks_per_host))
        return _Entry(monitor, checker, limit, self._shards[shard_of(monitor.name) % len(self._shards)])

    def remove(self, name: str) -> None:
        """Stop checking this monitor; the result of a check that runs now still counts."""
        self._entries.pop(name).end(self._tasks)

    async def check_now(self, name: str, within_s: float, *, recorded: bool = False) -> CheckResult:
        """Check this monitor between its slots, or wait for its check that is under way; return the result.

        The limits of concurrency hold. The result goes into the queue only if the check is `recorded`, or is
        that of a slot. Cancelling leaves the check running.

        Raises:
            KeyError: no such monitor is checked.
            TimeoutError: there is no result yet.
            OwnTroubleError: the check was not made.

        """
        entry = self._entries[name]
        if entry.ending:
            raise OwnTroubleError("the program ends")
        turn = entry.under_way or self._ask(entry, self._check_beside)
        entry.recorded |= recorded
        return await _outcome(turn, within_s)

    async def check_other(self, monitor: Monitor, checker: Checker, within_s: float) -> CheckResult:
        """Check what is no monitor here, once, and close its checker; the result is for the caller alone.

        The limits of concurrency hold; half of the places are never for such checks. A check that has not
        begun when the caller leaves is not made; one that runs finishes.

        Raises:
            TimeoutError: there is no result yet.
            OwnTroubleError: the check was not made.

        """
        if self._ending:
            raise OwnTroubleError("the program ends")
        entry = self._entry(monitor, checker)
        turn = self._ask(entry, self._check_other)
        try:
            return await _outcome(turn, within_s)
        finally:
            entry.end(self._tasks)

    def _ask(self, entry: _Entry, check: _CheckEntry) -> "asyncio.Future[CheckResult]":
        turn = entry.take_turn(recorded=False)
        name = f"the check of {entry.monitor.name} that was asked for"
        asked = self._tasks.start(name, check(entry, turn))
        asked.add_done_callback(lambda _: turn.cancel())
        entry.task = entry.task or asked
        return turn

    async def _check_other(self, entry: _Entry, turn: "asyncio.Future[CheckResult]") -> None:
        try:
            async with self._others, entry.limit, self._concurrent:
                entry.checking = True
                if result := await self._result(entry, round(time.time(), 6)):
                    entry.settle(turn, result)
        finally:
            await entry.checker.close()

    async def _check_beside(self, entry: _Entry, turn: "asyncio.Future[CheckResult]") -> None:
        async with entry.limit, self._concurrent:
            if not entry.ending and (result := await self._result(entry, round(time.time(), 6))):
                entry.settle(turn, result)
                if entry.recorded:
                    await self._hand_on(result)

    async def _watch(self, entry: _Entry, delay_s: float) -> None:
        try:
            if self._shared is None:
                await self._sleep(delay_s)
                await self._check_at(entry, round(time.time(), 6))
            while not (self._once or entry.ending):
                waited = not entry.shard.is_own.is_set()
                await entry.shard.is_own.wait()
                now = time.time()
                due_at = entry.next_slot(min(now, entry.shard.gained_at) if waited else now)
                await self._sleep(due_at - now)
                while NOT_SET_S < (early_s := due_at - time.time()) <= SET_BACK_S:
                    await self._sleep(early_s)
                if entry.shard.covers(due_at):
                    stood_still = time.time() - due_at > _STOOD_STILL_S
                    await self._check_at(entry, due_at)
                    if stood_still and self._shared is not None:
                        self._make_up(entry, due_at)
                elif entry.retries:
                    entry.retries.forget()
        finally:
            await entry.free()
            await entry.checker.close()

    def _make_up(self, entry: _Entry, due_at: float) -> None:
        """Make the checks of the slots since then: a process that stood still may have kept its share."""
        now = time.time()
        if slots := entry.slots.between(max(due_at, now - LOOK_BACK_S), now):
            self._start_late(entry, slots)

    async def _check_at(self, entry: _Entry, slot: float) -> None:
        began = time.monotonic()
        await self._take_turn(entry, slot)
        if not (self._once or entry.ending):
            self.skipped += entry.slots.passed(slot, time.monotonic() - began)

    async def _catch_up(self, shared: Sharing) -> None:
        """Make the checks of the slots that may be missing of monitors whose shards were gained."""
        while True:
            spans = await shared.gained.get()
            missed = []
            for position, entry in enumerate(list(self._entries.values())):
                if position % _TOGETHER == 0:
                    await asyncio.sleep(0)
                if span := spans.get(shard_of(entry.monitor.name)):
                    missed += [(entry.monitor.name, slot) for slot in entry.slots.between(*span)]
            late = defaultdict(list)
            for name, slot in await shared.without_row(missed):
                late[name].append(slot)
            for name, slots in late.items():
                if name in self._entries:
                    self._start_late(self._entries[name], slots)

    def _start_late(self, entry: _Entry, slots: Sequence[float]) -> None:
        self._tasks.start(f"missed slots of {entry.monitor.name}", self._check_late(entry, slots))

    async def _check_late(self, entry: _Entry, slots: Sequence[float]) -> None:
        for slot in slots:
            await entry.free()
            if not entry.ending:
                await self._take_turn(entry, slot, is_late=True)

    async def _take_turn(self, entry: _Entry, due_at: float, *, is_late: bool = False) -> None:
        await entry.free()
        turn = entry.take_turn(recorded=True)
        try:
            async with entry.limit, self._concurrent:
                entry.checking = not is_late
                self.progress.begin(f"the check of {entry.monitor.name}", entry, entry.monitor.timeout_s)
                self.lateness_s.observe(max(0.0, time.time() - due_at))
                if result := await self._result(entry, due_at):
                    if is_late:
                        result = replace(result, process="", number=0)  # its place is that of its slot
                    entry.settle(turn, result)
                    if entry.retries:
                        entry.retries.note(result)
                    if self._queue.full():
                        self.progress.begin("room in the queue", entry, entry.monitor.timeout_s)
                    await self._hand_on(result)
        finally:
            entry.checking = False
            self.progress.end(entry)
            turn.cancel()

    async def _result(self, entry: _Entry, scheduled_at: float) -> CheckResult | None:
        try:
            return await entry.checker.check(scheduled_at)
        except OwnTroubleError as trouble:
            self.own_troubles += 1
            log.warning("no check of %s: %s", entry.monitor.name, trouble)
            return None

    async def _hand_on(self, result: CheckResult) -> None:
        self.checks += 1
        for listen in self._on_result:
            listen(result)
        message = encode(result)
        self._result_log.produced(message.value)
        await self._queue.put(message)
