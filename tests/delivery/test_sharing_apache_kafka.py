"""The group of a location on Apache Kafka, with the sessions that the program has."""

import asyncio
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from monitor.config.model import Config
from monitor.delivery.kafka.aiokafka_fixes import close
from monitor.delivery.kafka.topics import checks_group, checks_topic, ensure_checks_topic
from tests.apache_kafka import ApacheKafka
from tests.delivery.test_apache_kafka import config as config_of
from tests.delivery.test_apache_kafka import sasl
from tests.delivery.test_sharing import Member, last, taking_part
from tests.forwarding import until

pytestmark = pytest.mark.kafka


@pytest.fixture
def config(apache_kafka: ApacheKafka, tmp_path: Path) -> Config:
    return config_of(apache_kafka, "PLAINTEXT", tmp_path)


@pytest.fixture
def guest(apache_kafka: ApacheKafka, tmp_path: Path) -> Config:
    """A user who may do nothing."""
    return config_of(apache_kafka, "SASL_PLAINTEXT", tmp_path, **sasl("PLAIN", "guest"))


async def nothing() -> None:
    pass


@pytest.mark.kafka_versions
async def test_members_join_again_and_leave(config: Config) -> None:
    one, two = Member(config, b"one"), Member(config, b"two")

    async with taking_part(one):
        async with taking_part(two):
            await until(lambda: last(one) == last(two) == b"one two", "both have the same assignment")
            two.word = b"new"
            two.group.rejoin()
            await until(lambda: last(one) == last(two) == b"new one", "both have the new assignment")
        await until(lambda: last(one) == b"one", "the other one is gone")

    assert one.refusals == two.refusals == 0


@pytest.mark.kafka_versions
async def test_the_topic_has_a_partition_for_each_shard(config: Config) -> None:
    await asyncio.gather(*(ensure_checks_topic(config, config.kafka_bootstrap, 64) for _ in range(3)))
    one = Member(config, b"one")

    async with taking_part(one):
        await until(lambda: last(one), "it has an assignment")
        await one.group._consumer.topics()
        assert len(one.group._consumer.partitions_for_topic(checks_topic(config))) == 64


async def test_a_member_that_vanished_is_left_out_after_its_session(config: Config) -> None:
    one, two = Member(config, b"one"), Member(config, b"two")

    async with taking_part(one):
        vanishing = asyncio.create_task(two.group.run())
        await until(lambda: last(one) == last(two) == b"one two", "both have the same assignment")
        consumer = two.group._consumer
        for connection in consumer._client._conns.values():
            connection._writer.transport.abort()
        await close(consumer, grace_s=0)
        vanishing.cancel()
        await asyncio.wait([vanishing])
        await until(lambda: last(one) == b"one", "the other one is gone")


async def test_a_coordinator_that_is_killed_ends_no_membership(
    config: Config, apache_kafka: ApacheKafka
) -> None:
    one, two = Member(config, b"one"), Member(config, b"two")

    async with taking_part(one, two):
        await until(lambda: last(one) == last(two) == b"one two", "both have the same assignment")
        apache_kafka.kill()
        apache_kafka.start()
        two.word = b"new"
        two.group.rejoin()
        await until(lambda: last(one) == last(two) == b"new one", "both have the new assignment")

    assert one.refusals == two.refusals == 0


async def test_a_topic_that_we_may_not_make_is_a_refusal(
    guest: Config, caplog: pytest.LogCaptureFixture
) -> None:
    one = Member(guest, b"one")

    async with taking_part(one):
        await until(lambda: one.refusals >= 2, "it is tried again")

    (refused,) = [each for each in caplog.messages if each.startswith("Kafka does not let processes share")]
    assert f"{checks_topic(guest)}: TopicAuthorizationFailedError" in refused


@pytest.mark.kafka_versions
async def test_a_group_that_we_may_not_join_is_a_refusal(
    guest: Config, caplog: pytest.LogCaptureFixture
) -> None:
    one = Member(guest, b"one", prepare=nothing)

    async with taking_part(one):
        await until(lambda: one.refusals >= 2, "it is tried again")

    (refused,) = [each for each in caplog.messages if each.startswith("Kafka does not let processes share")]
    assert "GroupAuthorizationFailedError" in refused


_TOPIC, _GROUP, _LITERAL, _ALLOW = 2, 3, 3, 3
_RIGHTS = {"Read": 3, "Create": 5, "Describe": 8}


async def allow(kafka: ApacheKafka, kind: int, name: str, right: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap("PLAINTEXT"))
    await admin.start()
    request = CreateAclsRequest(kind, name, _LITERAL, "User:guest", "*", _RIGHTS[right], _ALLOW)
    answer = await admin._send_request(request)
    assert [code for code, _ in answer.creation_responses] == [0]
    await admin.close()


@pytest.mark.kafka_versions
@pytest.mark.parametrize("is_there", [True, False])
async def test_the_rights_that_are_documented_are_enough(
    guest: Config, apache_kafka: ApacheKafka, is_there: bool
) -> None:
    if is_there:
        others = guest.model_copy(update={"kafka_security_protocol": "PLAINTEXT", "kafka_password": None})
        await ensure_checks_topic(others, apache_kafka.bootstrap("PLAINTEXT"), 64)
    else:
        await allow(apache_kafka, _TOPIC, checks_topic(guest), "Create")
    await allow(apache_kafka, _TOPIC, checks_topic(guest), "Describe")
    await allow(apache_kafka, _GROUP, checks_group(guest), "Read")
    one = Member(guest, b"one")

    async with taking_part(one):
        await until(lambda: last(one), "it has an assignment, as soon as the rights are known everywhere")


async def test_a_member_that_stops_while_others_are_awaited_holds_nobody_up(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Member(config, b"one")

    async with taking_part(one):
        await until(lambda: last(one), "the first one is the leader")
        monkeypatch.setattr("monitor.delivery.kafka.clients._HEARTBEAT_MS", 5_000)
        two = Member(config, b"two")
        async with taking_part(two):
            await until(lambda: last(one) == last(two) == b"one two", "both have the same assignment")
            joined = len(two.announced)
            one.word = b"new"
            one.group.rejoin()
            await until(lambda: b"new" in one.announced, "it waits for the other one")
            one.group.stop.set()
            await until(lambda: last(two) == b"two", "the other one has an assignment of its own")

    assert len(two.announced) == joined + 1
