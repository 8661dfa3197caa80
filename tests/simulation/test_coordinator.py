"""The model of the coordinator, held against what Kafka's documentation and source say of rounds."""

from tests.simulation.coordinator import Error, Group, Joined
from tests.simulation.engine import Engine


class Member:
    """Keeps the answers to its requests."""

    def __init__(self, engine: Engine, group: Group) -> None:
        self._engine = engine
        self._group = group
        self.name = ""
        self.generation = 0
        self.is_leader = False
        self.answers: list[tuple[float, object]] = []

    def join(self, metadata: bytes = b"") -> None:
        self._group.join(self.name, metadata, self._joined)

    def _joined(self, answer: Joined | Error) -> None:
        self.answers.append((self._engine.now, answer))
        if isinstance(answer, Joined):
            self.name, self.generation = answer.member, answer.generation
            self.is_leader = bool(answer.announced)
            assignments = dict.fromkeys(answer.announced, b"assignment") if self.is_leader else None
            self._group.sync(self.name, self.generation, assignments, self._note)

    def _note(self, answer: object) -> None:
        self.answers.append((self._engine.now, answer))

    def beat(self) -> object:
        answers: list[object] = []
        self._group.heartbeat(self.name, self.generation, answers.append)
        return answers[0]


def group_of(amount: int) -> tuple[Engine, Group, list[Member]]:
    engine = Engine("", 0.0)
    group = Group(engine)
    members = [Member(engine, group) for _ in range(amount)]
    for member in members:
        member.join()
    engine.run(6.0)
    return engine, group, members


def test_the_first_members_of_an_empty_group_are_waited_for() -> None:
    _, _, (alone,) = group_of(1)
    _, _, (one, other) = group_of(2)

    assert [at for at, _ in alone.answers] == [3.0, 3.0]
    assert [at for at, _ in one.answers] == [6.0, 6.0]
    assert [at for at, _ in other.answers] == [6.0, 6.0]
    assert [one.is_leader, other.is_leader] == [True, False]
    assert one.answers[-1][1] == other.answers[-1][1] == b"assignment"


def test_a_newcomer_waits_until_the_others_have_joined_again() -> None:
    engine, group, (one,) = group_of(1)
    newcomer = Member(engine, group)
    newcomer.join()
    engine.run(7.0)

    assert newcomer.answers == []
    assert one.beat() is Error.REBALANCING
    one.join()
    assert [at for at, _ in newcomer.answers] == [7.0, 7.0]
    assert one.generation == newcomer.generation == 2


def test_who_does_not_join_again_is_removed_after_the_time_for_a_rebalance() -> None:
    engine, group, (one,) = group_of(1)
    newcomer = Member(engine, group)
    engine.run(7.0)
    one.beat()
    newcomer.join()
    engine.run(14.0)

    assert [at for at, _ in newcomer.answers] == [13.0, 13.0]
    assert newcomer.is_leader
    assert one.beat() is Error.UNKNOWN


def test_who_sends_no_heartbeat_is_removed_after_its_session() -> None:
    engine, _, (one, other) = group_of(2)
    engine.run(8.0)
    one.beat()
    engine.run(13.0)

    assert one.beat() is Error.REBALANCING
    assert other.beat() is Error.UNKNOWN


def test_one_that_leaves_is_gone_at_once() -> None:
    _, group, (one, other) = group_of(2)
    group.leave(other.name)

    assert one.beat() is Error.REBALANCING
    one.join()
    assert one.beat() is None


def test_a_follower_with_the_same_bytes_gets_its_assignment_again() -> None:
    _, group, (_, follower) = group_of(2)
    follower.join()

    assert follower.answers[-1][1] == b"assignment"
    assert group.rounds == 1
    follower.join(b"other")
    assert group.rounds == 2


def test_a_coordinator_that_comes_back_knows_the_last_generation() -> None:
    engine, group, (one, other) = group_of(2)
    other.join(b"other")
    group.go_away()
    assert other.answers[-1][1] is Error.LOST
    assert one.beat() is Error.LOST
    engine.run(60.0)
    group.come_back()

    assert one.beat() is None
    assert other.beat() is None
