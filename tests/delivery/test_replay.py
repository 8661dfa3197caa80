"""Dead letters go through the main topic again: each, once, whatever comes between."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, UnknownTopicOrPartitionError

from monitor.config.model import Config
from monitor.delivery.kafka.clients import consumer
from monitor.delivery.kafka.topics import ensure_topics
from monitor.delivery.replay import BATCH, ReplayError, replay_dead_letters
from tests.apache_kafka import ApacheKafka
from tests.clock import NeverWaiting
from tests.program import Program, Start, until
from tests.stream import Stream, eventually, whole_topic
from tests.test_main import DOWN, rows, stored

REFUSE = (
    """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN RAISE data_exception USING MESSAGE = 'broken'; END$$""",
    "CREATE TRIGGER refuse BEFORE INSERT ON health_data FOR EACH ROW EXECUTE FUNCTION refuse()",
)
Hook = Callable[[int], Awaitable[None]]


class HookedProducer(AIOKafkaProducer):  # type: ignore[misc]  # aiokafka has no types
    """Does something before each message. Not idempotent, since the embedded broker takes no such ones."""

    def __init__(self, address: str, hook: Hook | None) -> None:
        super().__init__(bootstrap_servers=address, acks="all", request_timeout_ms=5000)
        self._hook = hook
        self._number = 0

    async def send(self, *arguments: Any, **options: Any) -> Any:
        if self._hook:
            await self._hook(self._number)
        self._number += 1
        return await super().send(*arguments, **options)


def quick_consumer(config: Config, servers: str) -> AIOKafkaConsumer:
    """One that joins fast, and misses a topic fast."""
    made = consumer(config.model_copy(update={"kafka_bootstrap": "embedded"}), servers)
    made._client._request_timeout_ms = 2000
    return made


def config(stream: Stream) -> Config:
    return Config(
        monitors=(), kafka_bootstrap=stream.address, kafka_topic=stream.topic, kafka_group=stream.group
    )


async def replay(stream: Stream, hook: Hook | None = None, **options: Any) -> str:
    return await replay_dead_letters(
        config(stream),
        options.pop("stop", asyncio.Event()),
        make_consumer=quick_consumer,
        make_producer=lambda _, servers: HookedProducer(servers, hook),
        **options,
    )


async def bury(address: str, topic: str, *letters: tuple[bytes | None, bytes | None]) -> None:
    """Each in a batch of its own: for the embedded broker, a topic ends where its last batch begins."""
    headers = [(name, b"1") for name in ("error", "topic", "partition", "offset", "failed_at", "kept")]
    async with AIOKafkaProducer(bootstrap_servers=address) as producer:
        for key, value in letters:
            await producer.send_and_wait(f"{topic}.dead", value, key=key, headers=headers)


def numbered(count: int) -> list[tuple[bytes, bytes]]:
    return [(b"monitor", b"%d" % number) for number in range(count)]


async def values(stream: Stream) -> list[bytes]:
    return [record.value for record in await whole_topic(stream.address, stream.topic)]


async def test_a_dead_letter_comes_again_unchanged_and_says_where_from(stream: Stream) -> None:
    await bury(stream.address, stream.topic, (b"shop", b"\xff{"), (None, b"no key"))

    assert await replay(stream) == f"{stream.topic}.dead: replayed 2"

    first, second = sorted(
        await whole_topic(stream.address, stream.topic), key=lambda record: record.value[::-1]
    )
    assert {(each.key, each.value) for each in (first, second)} == {(b"shop", b"\xff{"), (None, b"no key")}
    headers = {each.value: each.headers for each in (first, second)}
    where = f"{stream.topic}.dead/0".encode()
    assert headers == {
        b"\xff{": (("kept", b"1"), ("replayed_from", where + b"/0")),
        b"no key": (("kept", b"1"), ("replayed_from", where + b"/1")),
    }


async def test_a_second_replay_sends_nothing_twice(stream: Stream) -> None:
    await bury(stream.address, stream.topic, *numbered(250))

    assert await replay(stream) == f"{stream.topic}.dead: replayed 250"
    assert await replay(stream) == f"{stream.topic}.dead: replayed 0"

    assert await values(stream) == [value for _, value in numbered(250)]


async def test_no_dead_letters_are_none(stream: Stream) -> None:
    assert await replay(stream) == f"{stream.topic}.dead: replayed 0"


async def test_a_dead_letter_without_a_value_is_left_and_told(
    stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    await bury(stream.address, stream.topic, (b"shop", b"whole"), (b"shop", None))

    assert await replay(stream) == f"{stream.topic}.dead: replayed 1, left 1 that have no value"

    assert await values(stream) == [b"whole"]
    assert f"{stream.topic}.dead/0/1 has no value that could be replayed, it is left there" in caplog.messages


async def test_those_that_fail_again_are_for_the_next_replay(stream: Stream) -> None:
    await bury(stream.address, stream.topic, *numbered(3))

    async def fail_again(number: int) -> None:
        await bury(stream.address, stream.topic, (b"monitor", b"again %d" % number))

    assert await replay(stream, fail_again) == f"{stream.topic}.dead: replayed 3"
    assert await replay(stream) == f"{stream.topic}.dead: replayed 3"

    assert await values(stream) == [b"0", b"1", b"2", b"again 0", b"again 1", b"again 2"]


async def test_two_replays_at_once_send_each_once(stream: Stream) -> None:
    await bury(stream.address, stream.topic, *numbered(2_000))
    others: list[asyncio.Task[str]] = []

    async def start_another(number: int) -> None:
        if number == BATCH // 2:
            others.append(asyncio.ensure_future(replay(stream)))
        await asyncio.sleep(0.001)

    summaries = [await replay(stream, start_another), await others[0]]

    assert sum(int(each.rpartition(" ")[2]) for each in summaries) == 2_000
    assert sorted(await values(stream)) == sorted(value for _, value in numbered(2_000))


async def test_a_stop_finishes_what_is_in_hand_and_the_next_replay_the_rest(stream: Stream) -> None:
    await bury(stream.address, stream.topic, *numbered(250))
    stop = asyncio.Event()

    async def end(_: int) -> None:
        stop.set()

    with pytest.raises(ReplayError, match=rf"{stream.topic}.dead: replayed {BATCH}; stopped before the end"):
        await replay(stream, end, stop=stop)
    assert await replay(stream) == f"{stream.topic}.dead: replayed {250 - BATCH}"

    assert await values(stream) == [value for _, value in numbered(250)]


async def test_a_replay_that_breaks_off_repeats_at_most_what_was_in_hand(stream: Stream) -> None:
    await bury(stream.address, stream.topic, *numbered(250))

    async def break_off(number: int) -> None:
        if number == 150:
            breaking.cancel()
            await asyncio.Event().wait()

    breaking = asyncio.ensure_future(replay(stream, break_off))
    with pytest.raises(asyncio.CancelledError):
        await breaking
    assert await replay(stream) == f"{stream.topic}.dead: replayed {250 - BATCH}"

    got = await values(stream)
    assert set(got) == {value for _, value in numbered(250)}
    assert len(got) <= 250 + BATCH
    assert got[:BATCH] == [value for _, value in numbered(BATCH)]


async def test_a_cluster_that_is_lost_in_the_middle_is_waited_for(stream: Stream) -> None:
    await bury(stream.address, stream.topic, *numbered(250))
    troubles = [KafkaConnectionError("gone")]

    async def lose_it(number: int) -> None:
        if number == BATCH and troubles:
            raise troubles.pop()

    assert await replay(stream, lose_it) == f"{stream.topic}.dead: replayed 250"

    assert await values(stream) == [value for _, value in numbered(250)]


async def test_a_replay_that_goes_on_may_take_longer_than_its_patience(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bury(stream.address, stream.topic, *numbered(5 * BATCH))
    loop = asyncio.get_running_loop()
    time, slow = loop.time, set[int]()
    monkeypatch.setattr(loop, "time", lambda: time() + 12 * len(slow))

    async def slow_down(number: int) -> None:
        if number % BATCH == 0:
            slow.add(number)

    done = await replay(stream, slow_down, patience_s=50)

    assert done == f"{stream.topic}.dead: replayed {5 * BATCH}"
    assert len(slow) == 5


async def test_a_cluster_that_is_unavailable_at_the_start_is_waited_for(
    unstarted_stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    replaying = asyncio.ensure_future(replay(unstarted_stream))

    async def logged() -> bool:
        return "Kafka is unavailable, trying again in 2.0 s" in caplog.text

    await eventually("the outage is logged", logged)
    await unstarted_stream.start()

    assert await replaying == f"{unstarted_stream.topic}.dead: replayed 0"


async def test_a_cluster_that_stays_unavailable_ends_it() -> None:
    with pytest.raises(
        ReplayError, match=r"replayed 0; nothing went on for 1 s: .*127.0.0.1:\d+: connection"
    ):
        await replay(Stream(), patience_s=1)


def test_without_kafka_it_ends_after_a_minute() -> None:
    def fail(_config: Config, _servers: str) -> AIOKafkaConsumer:
        raise KafkaConnectionError("gone")

    async def attempt() -> str:
        absent = Config(monitors=(), kafka_bootstrap="127.0.0.1:9")
        return await replay_dead_letters(absent, asyncio.Event(), make_consumer=fail)

    with (
        pytest.raises(ReplayError, match=r"nothing went on for 60 s: .*gone$"),
        asyncio.Runner(loop_factory=NeverWaiting) as runner,
    ):
        runner.run(attempt())


async def test_a_topic_that_is_lost_ends_it(stream: Stream) -> None:
    await bury(stream.address, stream.topic, *numbered(1))

    async def lose_it(_: int) -> None:
        raise UnknownTopicOrPartitionError

    topics = f"{stream.topic} or {stream.topic}.dead"
    with pytest.raises(ReplayError, match=rf"replayed 0; {stream.address} has no topic {topics}$"):
        await replay(stream, lose_it)


async def test_the_embedded_broker_has_nothing_to_replay() -> None:
    with pytest.raises(ReplayError, match="does not keep dead letters over a restart"):
        await replay_dead_letters(Config(monitors=()), asyncio.Event())


def test_with_the_embedded_broker_one_line_says_why_not(program: Start) -> None:
    replaying = program(url_to_monitor=DOWN)

    assert replaying.run("--replay-dead-letters") == (1, "")

    (line,) = replaying.printed().splitlines()
    assert "the embedded broker does not keep dead letters over a restart" in line
    assert not (replaying.folder / "d").exists()


def test_a_signal_ends_the_wait_for_a_cluster(program: Start) -> None:
    replaying = program(url_to_monitor=DOWN, kafka_bootstrap="127.0.0.1:9")
    replaying.start("--replay-dead-letters")
    replaying.prints("Kafka is unavailable, trying again")

    assert replaying.stop() == 1

    assert replaying.printed().splitlines()[-1].endswith("replayed 0; stopped before the end")


@pytest.fixture
def names(apache_kafka: ApacheKafka) -> dict[str, Any]:
    """The settings of a program on Apache Kafka, with topics of its own."""
    name = uuid4().hex
    address = apache_kafka.bootstrap("PLAINTEXT")
    return {"kafka_bootstrap": address, "kafka_topic": f"t-{name}", "kafka_group": f"g-{name}"}


@pytest.mark.kafka_versions
@pytest.mark.kafka
def test_what_postgresql_refused_is_one_row_after_the_mend(
    program: Start, database: str, names: dict[str, Any]
) -> None:
    once_a_day = {"url_to_monitor": DOWN, "sleep_duration": 86_400, "share_checks": False}  # and at the start
    settings = names | {"pg_uri": database, **once_a_day}
    for statement in REFUSE:
        rows(database, statement)
    monitor = program(**settings)
    monitor.start()
    monitor.prints(r"cannot be stored, it goes to .*broken")
    replaying = Program(monitor.folder, settings)
    dead = f"{names['kafka_topic']}.dead"

    again = replaying.run("--replay-dead-letters")
    monitor.prints(r"cannot be stored, it goes to .*broken", times=2)
    rows(database, "DROP TRIGGER refuse ON health_data")
    mended = replaying.run("--replay-dead-letters")
    stored(database, 1)
    repeated = replaying.run("--replay-dead-letters")

    assert again == mended == (0, f"{dead}: replayed 1\n")
    assert repeated == (0, f"{dead}: replayed 0\n")
    assert monitor.stop() == 0
    assert [row["monitor"] for row in rows(database)] == [DOWN]
    assert len(asyncio.run(whole_topic(names["kafka_bootstrap"], names["kafka_topic"]))) == 3
    assert "Traceback" not in monitor.printed()


@pytest.mark.kafka
def test_replays_at_once_and_one_that_is_killed_send_all(program: Start, names: dict[str, Any]) -> None:
    settings = names | {"url_to_monitor": DOWN}
    address, topic = names["kafka_bootstrap"], names["kafka_topic"]
    on_kafka = Config(monitors=(), **names)
    asyncio.run(ensure_topics(on_kafka, address))
    asyncio.run(bury(address, topic, *numbered(3_000)))
    killed = program(**settings)
    killed.start("--replay-dead-letters")
    until(lambda: bool(asyncio.run(whole_topic(address, topic))), "something replayed")
    killed.signal(signal.SIGKILL)
    killed.wait()
    first, second = program(**settings), program(**settings)
    first.start("--replay-dead-letters")

    ended = [second.run("--replay-dead-letters"), (first.wait(), "")]

    assert [code for code, _ in ended] == [0, 0]
    got = [record.value for record in asyncio.run(whole_topic(address, topic))]
    assert set(got) == {value for _, value in numbered(3_000)}
    assert len(got) <= 3_000 + BATCH


@pytest.mark.kafka
async def test_topics_that_are_not_there_end_it(names: dict[str, Any]) -> None:
    with pytest.raises(ReplayError, match=r"replayed 0; .* has no topic t-.* or t-.*dead"):
        await replay_dead_letters(Config(monitors=(), **names), asyncio.Event(), make_consumer=quick_consumer)


@pytest.mark.kafka
@pytest.mark.parametrize("joins", [(), (50, 150, 250)])
async def test_on_apache_kafka_each_is_sent_once(names: dict[str, Any], joins: tuple[int, ...]) -> None:
    on_kafka = Config(monitors=(), **names)
    address, topic = names["kafka_bootstrap"], names["kafka_topic"]
    await ensure_topics(on_kafka, address)
    await bury(address, topic, *numbered(1_000))
    others: list[asyncio.Task[str]] = []

    async def start_others(number: int) -> None:
        if number in joins:
            others.append(asyncio.ensure_future(replay_dead_letters(on_kafka, asyncio.Event())))
        await asyncio.sleep(0.005)

    summary = await replay_dead_letters(
        on_kafka, asyncio.Event(), make_producer=lambda _, servers: HookedProducer(servers, start_others)
    )

    summaries = [summary, *await asyncio.gather(*others)]
    assert sum(int(each.rpartition(" ")[2]) for each in summaries) == 1_000
    got = [record.value for record in await whole_topic(address, topic)]
    assert sorted(got) == sorted(value for _, value in numbered(1_000))


@pytest.mark.kafka
async def test_a_cluster_that_falls_silent_in_the_middle_ends_it_in_time(
    apache_kafka: ApacheKafka, names: dict[str, Any]
) -> None:
    await ensure_topics(Config(monitors=(), **names), names["kafka_bootstrap"])
    await bury(names["kafka_bootstrap"], names["kafka_topic"], *numbered(250))

    async def fall_silent(number: int) -> None:
        if number == BATCH:
            apache_kafka.pause()

    with pytest.raises(ReplayError, match=f"replayed {BATCH}; nothing went on for 15 s"):
        async with asyncio.timeout(60):
            await replay_dead_letters(
                Config(monitors=(), **names),
                asyncio.Event(),
                make_producer=lambda _, servers: HookedProducer(servers, fall_silent),
                patience_s=15,
            )
