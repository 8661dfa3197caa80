"""Which of the location's checks this process makes, from its start to its last hand-over.

What is decided is in the room `sharing`, what is said to Kafka in `delivery/sharing.py`; this is what holds
them together: clocks, the configuration, the file that outlives the process, the log.
"""

import asyncio
import logging
import re
import socket
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from monitor.config.model import Config
from monitor.delivery.kafka.clients import SESSION_MS, group_member
from monitor.delivery.kafka.topics import checks_group, checks_topic, ensure_checks_topic
from monitor.delivery.sharing import Group
from monitor.result import PROCESS
from monitor.runtime.files import read_file
from monitor.runtime.progress import Availability
from monitor.runtime.tasks import Tasks
from monitor.runtime.text import counted
from monitor.runtime.waiting import within
from monitor.sharing.assignment import MAX_BYTES
from monitor.sharing.hand_overs import Kind
from monitor.sharing.leader import assign
from monitor.sharing.process import Process
from monitor.sharing.shards import SHARDS, configuration_hashes

log = logging.getLogger(__name__)

_FILE = "shared-checks"
_TICK_S = 1.0
_LEAVING_TICK_S = 0.1
_KNOWN_S = 30.0
_LEAVE_S = 8.0
_LEAVE_SHARE = 0.8  # of the grace
_HAPPENED: dict[Kind, tuple[int, str]] = {
    "start": (logging.INFO, "checks are shared"),
    "planned": (logging.INFO, "checks were handed over"),
    "death": (logging.WARNING, "a process is gone, its checks were taken over"),
}


class SharedChecks:
    """Decides which checks are made here, for as long as `run` runs.

    `on_missed` is called when slots of the past may have become this process's own. `on_known` is called
    once, when it is known which checks are made here, or after half a minute: then others may be stopped.
    """

    def __init__(self, config: Config) -> None:
        self.on_missed: Callable[[], None] = _nothing
        self.on_known: Callable[[], None] = _nothing
        self._known_at_s = time.monotonic() + _KNOWN_S
        self._file = config.data_dir / _FILE
        self.process = Process(
            _process_name(),
            configuration_hashes(config.monitors),
            monotonic_s=time.monotonic(),
            when_alone=config.when_alone,
            session_s=SESSION_MS / 1_000,
            stored=_stored(self._file),
        )
        bootstrap = config.kafka_bootstrap
        self.group = Group(
            topic=checks_topic(config),
            prepare=partial(ensure_checks_topic, config, bootstrap, SHARDS),
            open_consumer=partial(group_member, config, bootstrap, checks_group(config)),
            announce=lambda: self.process.announcement(time.time(), time.monotonic()),
            assign=self._assign,
            received=self._receive,
            answered=lambda: self.process.answered(time.monotonic()),
            refused=self.process.refused,
            kafka=Availability("Kafka", bootstrap),
        )
        self._leave_s = min(_LEAVE_S, config.shutdown_grace_s * _LEAVE_SHARE)
        self._wake = asyncio.Event()
        self._is_leaving = False
        self._handed_over = asyncio.Event()
        self._ends_at = float("inf")
        self._received = asyncio.Event()
        self._version = 0
        self._differing = self._is_alone = self._waits = False

    def take(self, monitor: str, slot: float) -> bool:
        """Return whether to make the check of this slot (Unix seconds); it counts as made then."""
        return slot <= self._ends_at and self.process.take(monitor, slot, time.monotonic())

    def missed(self, monitor: str, slots: Iterable[float]) -> list[float]:
        """Return for which of these past slots to make a check after all; it counts as made then."""
        return self.process.missed(monitor, slots, time.time(), time.monotonic())

    def own_shards(self) -> Collection[int]:
        """Return the shards whose monitors are checked here, by the newest assignment."""
        process = self.process
        if process.epoch is None or self.group.is_refused:
            return range(SHARDS)
        return {*process.members.get(process.name, ()), *process.differing}

    def follow(self, config: Config) -> None:
        """Announce that the monitors are others now."""
        self.process.configure(configuration_hashes(config.monitors))
        self._wake.set()

    async def run(self) -> None:
        """Share the checks, until `hand_over` was called and this process has left the others."""
        async with Tasks() as tasks:
            ticking = tasks.start("the clock of the shared checks", self._tick())
            storing = tasks.start("the file of the shared checks", self._store_each())
            await self.group.run()
            tasks.end(ticking)
            tasks.end(storing)

    async def hand_over(self) -> None:
        """Hand over all checks to the others; return when no slot is left to this process, or at a limit."""
        self.process.leave()
        self._is_leaving = True
        asyncio.get_running_loop().call_later(self._leave_s, self._end)
        self._wake.set()
        await self._handed_over.wait()

    def _end(self) -> None:
        self._make_no_more()
        self.group.stop.set()

    def _make_no_more(self) -> None:
        self._ends_at = min(self._ends_at, time.time())
        self._handed_over.set()

    async def _tick(self) -> None:
        while True:
            self._wake.clear()
            self._look()
            await within(_LEAVING_TICK_S if self._is_leaving else _TICK_S, self._wake.wait())

    def _look(self) -> None:
        process = self.process
        process.tick(time.time(), time.monotonic())
        self._log_pauses()
        self._log_differing()
        if not process.is_waiting or time.monotonic() >= self._known_at_s:
            self.on_known()
            self.on_known = _nothing
        if process.version != self._version:
            self._version = process.version
            self.on_missed()
        if process.wants_rejoin:
            self.group.rejoin()
        if self._is_leaving and process.is_done:
            self._make_no_more()
        if self._is_leaving and process.may_leave(time.monotonic()):
            self._end()

    def _assign(self, members: Mapping[str, bytes]) -> bytes:
        return assign(members, time.time(), self.process.known_s(time.monotonic()))

    def _receive(self, assignment: bytes) -> None:
        before = self.process.hand_overs.copy()
        self.process.received(assignment, time.time(), time.monotonic())
        for kind in self.process.hand_overs - before:
            level, what = _HAPPENED[kind]
            log.log(level, "%s; processes: %d, shards of this one: %d of %d", what, *self._division())
        self._received.set()
        self._wake.set()

    def _division(self) -> tuple[int, int, int]:
        members = self.process.members
        return len(members), len(members.get(self.process.name, ())), SHARDS

    def _log_pauses(self) -> None:
        process = self.process
        waits, is_alone = process.waits(time.monotonic()), process.epoch is None and not process.is_waiting
        if is_alone and not self._is_alone and not self.group.is_refused:
            log.warning("Kafka does not answer: checks are made here as before the start, or all of them")
        if waits and not self._waits:
            log.warning("others may have the checks of this process: it makes none until Kafka says more")
        if self._waits and not waits:
            log.info("this process makes checks again")
        self._waits, self._is_alone = waits, is_alone

    def _log_differing(self) -> None:
        differing = self.process.differing
        if differing and not self._differing:
            log.warning(
                "another process of this location has other monitors in %s: those are checked here, too",
                counted(len(differing), "shard"),
            )
        self._differing = bool(differing)

    async def _store_each(self) -> None:
        """Keep the newest assignment for the next start: Kafka may be away then."""
        while True:
            await self._received.wait()
            self._received.clear()
            try:
                await asyncio.to_thread(_store, self._file, self.process.to_store(time.time()))
            except OSError as error:
                log.warning("%s cannot be written: %s", self._file, error.strerror)


def shared_checks(config: Config) -> SharedChecks | None:
    """Return what decides which checks are made here; `None` where there can be no other process."""
    return SharedChecks(config) if config.shares_checks else None


def _nothing() -> None:
    pass


def _process_name() -> str:
    host = re.sub(r"[^!-~]", "-", socket.gethostname())[:80]
    return f"{host}-{PROCESS}"


def _stored(path: Path) -> bytes:
    with suppress(OSError):
        return read_file(path, MAX_BYTES)
    return b""


def _store(path: Path, content: bytes) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)
