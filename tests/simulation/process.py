"""A process of a location in virtual time: its schedule, its member of the group, its clock, its troubles."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from monitor.schedule import NOT_SET_S, SET_BACK_S
from monitor.sharing.leader import assign
from monitor.sharing.process import MISSED_S, Process, WhenAlone
from tests.simulation.account import Account, Watched
from tests.simulation.coordinator import Error, Group, Joined
from tests.simulation.engine import Do, Engine

HEARTBEAT_S = 1.0
TICK_S = 1.0
LEAVING_TICK_S = 0.1
GRACE_S = 8.0
RETRY_S = 0.1
LOST_S = 1.0  # until a lost connection is noticed
BETWEEN_PAUSES_S = 3.0

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Config:
    """What a configuration file says: monitors, and the hashes of their shards."""

    monitors: Sequence[Watched]
    hashes: Sequence[int]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all processes of a location have in common."""

    engine: Engine
    group: Group
    account: Account
    lost: float = 0.0
    """The share of the answers to SyncGroup that is lost; of those to JoinGroup, a quarter of that."""
    when_alone: WhenAlone = "continue"


class Simulated:
    """One process, from its start to its end."""

    def __init__(
        self, name: str, around: Surroundings, config: Config, *, ahead_s: float = 0.0, stored: bytes = b""
    ) -> None:
        self.name = name
        self.ahead_s = ahead_s
        """Of its clock, before the true time."""
        self.cut = False
        self.has_ended = False
        self.is_stopping = False
        self._around = around
        self._engine = around.engine
        self._account = around.account
        self._began_at = around.engine.now
        self._room = Process(
            name,
            config.hashes,
            monotonic_s=around.engine.now,
            when_alone=around.when_alone,
            stored=stored,
        )
        self._paused_until = 0.0
        self._member = ""
        self._generation = 0
        self._joining = False
        self._seen = 0
        self._stopped_at = 0.0
        self._has_share = False
        self._slots = {monitor: monitor.slots for monitor in config.monitors}
        for monitor in self._slots:
            self._await_slot(monitor)
        self._join()
        self._after(TICK_S, self._tick)
        self._after(HEARTBEAT_S, self._beat)

    @property
    def clock(self) -> float:
        return self._engine.now + self.ahead_s

    @property
    def stored(self) -> bytes:
        return self._room.to_store(self.clock)

    # What befalls it.

    def stop(self) -> None:
        self.is_stopping = True
        self._stopped_at = self._engine.now
        self._after(0, self._begin_to_leave)
        self._after(GRACE_S, self._leave)

    def kill(self) -> None:
        self.has_ended = True
        self._account.killed(self.name, self._engine.now)

    def pause(self, for_s: float) -> None:
        """Run nothing for so long; a loop that has just paused runs for a while first."""
        if self._engine.now > self._paused_until + BETWEEN_PAUSES_S:
            self._paused_until = self._engine.now + for_s

    def reload(self, config: Config) -> None:
        self._after(0, partial(self._take_over, config))

    def _take_over(self, config: Config) -> None:
        self._follow(config)
        self._room.configure(config.hashes)
        self._look()

    def _after(self, delay_s: float, do: Do) -> None:
        due = self._engine.now + delay_s
        self._engine.at(due, partial(self._run, do, due))

    def _run(self, do: Do, due: float) -> None:
        if self.has_ended:
            return
        if self._engine.now < self._paused_until:
            self._engine.at(self._paused_until, partial(self._run, do, due), due)
            return
        do()

    # The schedule.

    def _follow(self, config: Config) -> None:
        added = [monitor for monitor in config.monitors if monitor not in self._slots]
        self._slots = {monitor: self._slots.get(monitor) or monitor.slots for monitor in config.monitors}
        for monitor in added:
            self._await_slot(monitor)

    def _await_slot(self, monitor: Watched) -> None:
        clock = self.clock
        slot = self._slots[monitor].next(clock)
        self._after(slot - clock, partial(self._at_slot, monitor, slot))

    def _at_slot(self, monitor: Watched, slot: float) -> None:
        early_s = slot - self.clock
        if NOT_SET_S < early_s <= SET_BACK_S:
            self._after(early_s, partial(self._at_slot, monitor, slot))
        elif monitor in self._slots:
            if self._room.take(monitor.name, slot, self._engine.now):
                self._account.ran(monitor, slot, self.name)
            self._await_slot(monitor)

    def _look_back(self) -> None:
        if self._seen == self._room.version:
            return
        self._seen = self._room.version
        clock = self.clock
        for monitor, slots in self._slots.items():
            past = slots.past(clock, MISSED_S)
            for slot in self._room.missed(monitor.name, past, clock, self._engine.now):
                self._account.ran(monitor, slot, self.name)

    def _tick(self) -> None:
        self._look()
        self._after(LEAVING_TICK_S if self.is_stopping else TICK_S, self._tick)

    def _look(self) -> None:
        self._room.tick(self.clock, self._engine.now)
        self._look_back()
        if self.is_stopping and self._room.may_leave(self._engine.now):
            self._leave()
        elif self._room.wants_rejoin and not self._joining:
            self._join()

    def _begin_to_leave(self) -> None:
        self._room.leave()
        self._tick()

    def _leave(self) -> None:
        now = self._engine.now
        self.has_ended = True
        self._account.stopped_s.append(now - self._stopped_at)
        if not self._room.may_leave(now):
            self._account.deaths_at.append(now)
        if not self.cut:
            self._engine.after(self._latency_s, partial(self._around.group.leave, self._member))

    # The member of the group, as aiokafka is one.

    @property
    def _latency_s(self) -> float:
        return self._engine.chance.uniform(0.001, 0.05)

    def _request(
        self, send: Callable[[Callable[[_T | Error], None]], None], take: Callable[[_T | Error], None]
    ) -> None:
        def answered(answer: _T | Error) -> None:
            lost = self.cut or answer is Error.LOST
            self._after(LOST_S if lost else self._latency_s, partial(take, Error.LOST if lost else answer))

        def arrive() -> None:
            if self.cut:
                answered(Error.LOST)
            else:
                if not self._around.group.is_away:  # it is connected, though it may have to wait for others
                    self._room.answered(self._engine.now)
                send(answered)

        self._engine.after(self._latency_s, arrive)

    def _join(self) -> None:
        self._joining = True
        if not (self.cut or self._around.group.is_away):
            self._room.answered(self._engine.now)
        metadata = self._room.announcement(self.clock, self._engine.now)
        self._request(partial(self._around.group.join, self._member, metadata), self._joined)

    def _joined(self, answer: Joined | Error) -> None:
        if isinstance(answer, Error) or self._is_lost(self._around.lost / 4):
            self._join_again(answer)
            return
        self._room.answered(self._engine.now)
        self._member, self._generation = answer.member, answer.generation
        assignment = None
        if answer.announced:
            assignment = assign(answer.announced, self.clock, self._room.known_s(self._engine.now))
        sync = partial(self._around.group.sync, self._member, self._generation, assignment)
        self._request(sync, self._synced)

    def _synced(self, answer: bytes | Error) -> None:
        if isinstance(answer, Error) or self._is_lost(self._around.lost):
            self._join_again(answer)
            return
        self._joining = False
        self._room.received(answer, self.clock, self._engine.now)
        self._note_members()
        self._look()

    def _is_lost(self, share: float) -> bool:
        return self._engine.chance.random() < share

    def _join_again(self, answer: object) -> None:
        if answer is Error.UNKNOWN:
            self._member = ""
        self._after(RETRY_S, self._join)

    def _beat(self) -> None:
        self._after(HEARTBEAT_S, self._beat)
        if self._member and not self._joining:
            beat = partial(self._around.group.heartbeat, self._member, self._generation)
            self._request(beat, partial(self._beaten, self._generation))

    def _beaten(self, generation: int, answer: Error | None) -> None:
        if answer is Error.LOST:
            return
        self._room.answered(self._engine.now)
        if self._joining or generation != self._generation:
            return
        if answer is Error.UNKNOWN:
            self._member = ""
        if answer is not None:
            self._join()

    def _note_members(self) -> None:
        members = self._room.members
        self._account.members(set(members), self._engine.now)
        if not self._has_share and members.get(self.name):
            self._has_share = True
            share_at = (self._room.epoch or 0) / 1000 - self.ahead_s
            self._account.joined_s.append(max(share_at, self._engine.now) - self._began_at)
