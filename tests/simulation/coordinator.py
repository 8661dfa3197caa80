"""A model of Kafka's classic group coordinator: rounds of JoinGroup and SyncGroup, sessions, generations."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import count
from typing import NamedTuple

from tests.simulation.engine import Engine

SESSION_S = 6.0
REBALANCE_S = 6.0
FIRST_MEMBERS_S = 3.0


class Error(Enum):
    """Why there is no answer, or none to go on with."""

    LOST = "the connection is lost"
    UNKNOWN = "the member or its generation is not known"
    REBALANCING = "a rebalance is under way"


class Joined(NamedTuple):
    """The answer to a JoinGroup."""

    generation: int
    member: str
    announced: Mapping[str, bytes]
    """What each member announced, for the leader; others get nothing of it."""


class State(Enum):
    """Of a group."""

    EMPTY = 0
    JOINING = 1
    SYNCING = 2
    STABLE = 3


@dataclass(eq=False, slots=True)
class Member:
    """One member; its requests wait here for their answers."""

    name: str
    metadata: bytes = b""
    expires_at: float = 0.0
    joining: Callable[[Joined | Error], None] | None = None
    syncing: Callable[[bytes | Error], None] | None = None

    def answer_join(self, answer: Joined | Error) -> None:
        waiting, self.joining = self.joining, None
        if waiting:
            waiting(answer)

    def answer_sync(self, answer: bytes | Error) -> None:
        waiting, self.syncing = self.syncing, None
        if waiting:
            waiting(answer)


class Group:
    """The group of one location, as its coordinator has it."""

    def __init__(self, engine: Engine) -> None:
        self.rounds = 0
        self._engine = engine
        self.is_away = False
        self._members: dict[str, Member] = {}
        self._state = State.EMPTY
        self._generation = 0
        self._leader = ""
        self._assignments: Mapping[str, bytes] = {}
        self._stored: tuple[int, str, Mapping[str, bytes], Iterable[str]] = (0, "", {}, ())
        self._first_until: float | None = None
        self._newcomers = False
        self._numbers = count(1)

    # What members send.

    def join(self, name: str, metadata: bytes, answer: Callable[[Joined | Error], None]) -> None:
        """Take part in the next generation; without a name, as a new member."""
        if self.is_away or (name and name not in self._members):
            answer(Error.LOST if self.is_away else Error.UNKNOWN)
            return
        changed = not name or name == self._leader or metadata != self._members[name].metadata
        member = self._members[name] if name else self._new_member()
        member.metadata = metadata
        self._keep(member)
        if self._state in {State.STABLE, State.SYNCING} and not changed:
            answer(self._joined(member))
            return
        member.joining = answer
        self._rebalance()

    @property
    def members(self) -> Iterable[str]:
        return self._members

    def sync(
        self,
        name: str,
        generation: int,
        assignments: Mapping[str, bytes] | None,
        answer: Callable[[bytes | Error], None],
    ) -> None:
        """Give the leader's assignments, or wait for them."""
        if error := self._error(name, generation):
            answer(error)
            return
        member = self._members[name]
        self._keep(member)
        member.syncing = answer
        if self._state is State.SYNCING and assignments is not None:
            self._assignments = assignments
            self._state = State.STABLE
            self._stored = (self._generation, self._leader, assignments, tuple(self._members))
        if self._state is State.STABLE:
            for each in self._members.values():
                each.answer_sync(self._assignments[each.name])

    def heartbeat(self, name: str, generation: int, answer: Callable[[Error | None], None]) -> None:
        error = self._error(name, generation)
        if error in {None, Error.REBALANCING}:
            self._keep(self._members[name])
        answer(error)

    def leave(self, name: str) -> None:
        if not self.is_away and name in self._members:
            self._remove(name)

    def _error(self, name: str, generation: int) -> Error | None:
        if self.is_away:
            return Error.LOST
        if name not in self._members or generation != self._generation:
            return Error.UNKNOWN
        return Error.REBALANCING if self._state is State.JOINING else None

    # Rounds.

    def _rebalance(self) -> None:
        if self._state is not State.JOINING:
            for member in self._members.values():
                member.answer_sync(Error.REBALANCING)
            first = self._state is State.EMPTY
            self._state = State.JOINING
            self._generation_joins(first)
        self._complete_if_all_joined()

    def _generation_joins(self, first: bool) -> None:
        self.rounds += 1
        number, ends_at = self.rounds, self._engine.now + REBALANCE_S
        self._first_until = ends_at if first else None
        self._newcomers = False
        wait_s = FIRST_MEMBERS_S if first else REBALANCE_S
        self._engine.after(wait_s, lambda: self._joins_end(number))

    def _joins_end(self, number: int) -> None:
        if self.is_away or self._state is not State.JOINING or self.rounds != number:
            return
        if self._newcomers and self._first_until and self._engine.now < self._first_until:
            self._newcomers = False
            wait_s = min(FIRST_MEMBERS_S, self._first_until - self._engine.now)
            self._engine.after(wait_s, lambda: self._joins_end(number))
            return
        self._first_until = None
        for name in [each.name for each in self._members.values() if not each.joining]:
            del self._members[name]
        self._complete_if_all_joined()

    def _complete_if_all_joined(self) -> None:
        if not self._members:
            self._state = State.EMPTY
            return
        if self._first_until is not None or not all(each.joining for each in self._members.values()):
            return
        self._generation += 1
        self._state = State.SYNCING
        if self._leader not in self._members:
            self._leader = next(iter(self._members))
        for member in list(self._members.values()):
            self._keep(member)
            member.answer_join(self._joined(member))

    def _joined(self, member: Member) -> Joined:
        announced = {}
        if member.name == self._leader:
            announced = {each.name: each.metadata for each in self._members.values()}
        return Joined(self._generation, member.name, announced)

    # Members.

    def _new_member(self) -> Member:
        member = Member(f"member-{next(self._numbers)}")
        self._members[member.name] = member
        self._newcomers = True
        self._engine.after(SESSION_S, lambda: self._expire(member))
        return member

    def _keep(self, member: Member) -> None:
        member.expires_at = self._engine.now + SESSION_S

    def _expire(self, member: Member) -> None:
        if self._members.get(member.name) is not member:
            return
        if self.is_away or member.joining or member.syncing:
            self._keep(member)
        if member.expires_at > self._engine.now:
            self._engine.at(member.expires_at, lambda: self._expire(member))
        else:
            self._remove(member.name)

    def _remove(self, name: str) -> None:
        member = self._members.pop(name)
        member.answer_join(Error.UNKNOWN)
        member.answer_sync(Error.UNKNOWN)
        self._rebalance()

    # The broker that has the group.

    def go_away(self) -> None:
        """Answer nobody any more; what waits for an answer has lost its connection."""
        self.is_away = True
        for member in self._members.values():
            member.answer_join(Error.LOST)
            member.answer_sync(Error.LOST)

    def come_back(self) -> None:
        """Go on with the last generation that was stored, with new sessions."""
        self.is_away = False
        self._generation, self._leader, self._assignments, names = self._stored
        stored = {name: self._members[name] for name in names if name in self._members}
        self._members = stored
        self._state = State.STABLE if stored else State.EMPTY
        for member in stored.values():
            self._keep(member)
