import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError

from monitor.config.model import Config
from monitor.delivery.kafka.clients import group_member
from monitor.delivery.kafka.topics import checks_group, checks_topic, ensure_checks_topic
from monitor.delivery.sharing import Group
from monitor.embedded.broker import Broker
from tests.forwarding import until

PARTITIONS = 3


@pytest.fixture(autouse=True)
def _short_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.delivery.kafka.clients.SESSION_MS", 2_000)  # a join takes half of it
    monkeypatch.setattr("monitor.delivery.kafka.clients._HEARTBEAT_MS", 100)


@pytest.fixture
def config(broker: Broker) -> Config:
    """The embedded broker, as any other would be used."""
    return Config(monitors=(), kafka_bootstrap=broker.bootstrap, location="here")


@dataclass
class Member:
    """Announces `word`; the assignment is all words of the group."""

    config: Config
    word: bytes | None
    received: list[bytes] = field(default_factory=list)
    answers: int = 0
    refusals: int = 0
    prepare: Callable[[], Any] | None = None
    announced: list[bytes | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        bootstrap = self.config.kafka_bootstrap
        self.group = Group(
            topic=checks_topic(self.config),
            prepare=self.prepare or partial(ensure_checks_topic, self.config, bootstrap, PARTITIONS),
            open_consumer=partial(group_member, self.config, bootstrap, checks_group(self.config)),
            announce=self.announce,
            assign=self.assign,
            received=self.received.append,
            answered=self.answer,
            refused=self.refuse,
        )

    def announce(self) -> bytes:
        self.announced.append(self.word)
        return self.word  # type: ignore[return-value] # one of them announces what none of ours does

    def assign(self, members: Mapping[str, bytes]) -> bytes:
        return b" ".join(sorted(members.values()))

    def answer(self) -> None:
        self.answers += 1

    def refuse(self) -> None:
        self.refusals += 1


@asynccontextmanager
async def taking_part(*members: Member) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        for member in members:
            tasks.create_task(member.group.run())
        yield
        for member in members:
            member.group.stop.set()


def last(member: Member) -> bytes:
    return member.received[-1] if member.received else b""


async def test_all_members_receive_what_one_of_them_makes_of_all_announcements(config: Config) -> None:
    one, two = Member(config, b"one"), Member(config, b"two")

    async with taking_part(one, two):
        await until(lambda: last(one) == last(two) == b"one two", "both have the same assignment")

    assert one.refusals == two.refusals == 0


async def test_what_kafka_has_as_null_is_nothing(config: Config) -> None:
    one, silent = Member(config, b"one"), Member(config, None)

    async with taking_part(one, silent):
        await until(lambda: last(one) == last(silent) == b" one", "both have the same assignment")
        for member in (one, silent):
            member.group.assign = lambda _: None  # type: ignore[assignment,return-value] # as no member of ours
        one.word = b"new"
        one.group.rejoin()
        await until(lambda: last(one) == last(silent) == b"", "both have the assignment of nothing")

    assert one.refusals == silent.refusals == 0


async def test_members_of_another_location_are_in_another_group(config: Config) -> None:
    one, two = Member(config, b"one"), Member(config.model_copy(update={"location": "there"}), b"two")

    async with taking_part(one, two):
        await until(lambda: (last(one), last(two)) == (b"one", b"two"), "each has an assignment of its own")


async def test_a_member_joins_again_with_something_new_and_only_between_rebalances(config: Config) -> None:
    one, two = Member(config, b"one"), Member(config, b"two")

    one.group.rejoin()
    async with taking_part(one, two):
        await until(lambda: one.announced, "the first one joins")
        one.group.rejoin()
        await until(lambda: last(one) == last(two) == b"one two", "both have the same assignment")
        one.word = b"new"
        one.group.rejoin()
        one.group.rejoin()
        await until(lambda: last(one) == last(two) == b"new two", "both have the new assignment")

    assert one.announced.count(b"new") == 1


async def test_a_member_that_stops_leaves_at_once(config: Config) -> None:
    one, two = Member(config, b"one"), Member(config, b"two")

    async with taking_part(one):
        async with taking_part(two):
            await until(lambda: last(one) == last(two) == b"one two", "both have the same assignment")
        await until(lambda: last(one) == b"one", "the other one is gone")


async def test_a_member_that_is_stopped_while_it_starts_ends(config: Config) -> None:
    async def nothing() -> None:
        pass

    one = Member(config, b"one", prepare=nothing)
    one.group.stop.set()
    await one.group.run()

    assert one.announced == []


async def test_each_heartbeat_shows_that_the_coordinator_answers(config: Config) -> None:
    one = Member(config, b"one")

    async with taking_part(one):
        await until(lambda: last(one), "it has an assignment")
        before = one.answers
        await until(lambda: one.answers >= before + 3, "heartbeats are answered")

    assert len(one.received) == 1


async def test_a_group_that_is_gone_is_made_again(config: Config, broker: Broker) -> None:
    one = Member(config, b"one")

    async with taking_part(one):
        await until(lambda: len(one.received) == 1, "it has an assignment")
        broker.child.process.kill()
        await until(lambda: len(one.received) == 2, "it has another one")

    assert one.refusals == 0


async def test_a_member_whose_client_fails_comes_back_without_leaving(
    config: Config, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.delivery.kafka.clients.SESSION_MS", 8_000)  # more than the new client needs
    caplog.set_level(logging.INFO)
    one, two = Member(config, b"one"), Member(config, b"two")

    async with taking_part(one, two):
        await until(lambda: last(one) == last(two) == b"one two", "both have the same assignment")
        client = one.group._consumer
        client._subscription.abort_waiters(KafkaConnectionError("it failed"))
        await until(lambda: one.group._consumer not in {client, None}, "it has another client")
        await until(lambda: min(len(one.received), len(two.received)) >= 2, "both have another assignment")

    assert all(b"one" in each for each in two.received)
    assert "Kafka is unavailable, checks are shared as before: KafkaConnectionError: it failed" in caplog.text
    assert "the checks are shared again" in caplog.messages


async def test_what_the_cluster_refuses_is_logged_once_and_tried_again(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    attempts = 0

    async def prepare() -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise TopicAuthorizationFailedError("topic website_health.checks")
        await ensure_checks_topic(config, config.kafka_bootstrap, PARTITIONS)

    one = Member(config, b"one", prepare=prepare)

    async with taking_part(one):
        await until(lambda: last(one), "it has an assignment at last")

    assert one.refusals == 2
    refused = [each for each in caplog.messages if each.startswith("Kafka does not let processes share")]
    assert len(refused) == 1
    assert "TopicAuthorizationFailedError" in refused[0]
    assert not one.group.is_refused


class BugError(Exception):
    """What a bug raises."""


@pytest.mark.parametrize("where", ["announce", "assign", "received"])
async def test_a_bug_is_no_refusal_of_kafka_and_ends_the_group(config: Config, where: str) -> None:
    def fails(*_: object) -> bytes:
        raise BugError

    one = Member(config, b"one")
    setattr(one.group, where, fails)

    with pytest.raises(BugError):
        await one.group.run()
    assert one.refusals == 0


async def test_a_broker_that_is_not_there_is_no_refusal_and_is_logged_once(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    attempts = 0

    async def prepare() -> None:
        nonlocal attempts
        attempts += 1
        raise KafkaConnectionError("127.0.0.1:1: connection refused")

    one = Member(config, b"one", prepare=prepare)

    async with taking_part(one):
        await until(lambda: attempts == 2, "it is tried again")

    assert one.refusals == 0
    assert len([each for each in caplog.messages if each.startswith("Kafka is unavailable")]) == 1


@pytest.mark.parametrize(
    ("location", "written"),
    [("Frankfurt 1/ä", "Frankfurt%201%2F%C3%A4"), ("x" * 200, f"{'x' * 100}-")],
)
def test_each_location_has_a_group_whose_name_tools_take(location: str, written: str) -> None:
    config = Config(monitors=(), location=location)
    name = checks_group(config)

    assert name.startswith(f"website-health-store.checks.{written}")
    assert name.isascii()
    assert len(name) < 150
    assert name != checks_group(config.model_copy(update={"location": location + "x"}))
