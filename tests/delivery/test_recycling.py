"""The real forwarder and the real storing side around the embedded broker that forgets."""

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from monitor.config.model import Config
from monitor.delivery.dead_letters import DeadLetter
from monitor.delivery.forwarder import Forwarder
from monitor.delivery.ingest import Ingest
from monitor.delivery.kafka.clients import consumer, started_producer
from monitor.delivery.kafka.topics import ensure_topics
from monitor.delivery.kafka.volatile_topic import VolatileTopic
from monitor.delivery.outbox.outbox import open_outbox
from monitor.delivery.retention import UntilStored
from monitor.embedded.broker import Broker
from monitor.result import CheckResult, Message, encode, result_id
from monitor.storage.results import ResultStore, stored
from tests.stream import look_for_nothing
from tests.test_result import result

COUNT = 25_000
BODY = "x" * 4_000


def check(number: int) -> CheckResult:
    monitor, slot = f"m{number % 50}", 1_790_000_000.0 + number
    return result(monitor=monitor, scheduled_at=slot, id=result_id("here", monitor, slot), response_data=BODY)


async def refuse(letters: Sequence[DeadLetter]) -> None:
    raise AssertionError(letters[0].error)


async def test_100_mb_go_through_in_bounded_memory_also_when_the_broker_is_killed(
    embedded_config: Config, broker: Broker, store: ResultStore, short_dir: Path
) -> None:
    servers = broker.bootstrap
    await ensure_topics(embedded_config, servers)
    topic = VolatileTopic(embedded_config, servers)
    retention = UntilStored(topic)
    broker.on_restart = topic.restore
    outbox = await open_outbox(short_dir / "outbox.sqlite", 10**9)
    queue: asyncio.Queue[Message | None] = asyncio.Queue(1_000)
    forwarder = Forwarder(
        queue,
        outbox,
        embedded_config.kafka_topic,
        partial(started_producer, embedded_config, servers),
        retention,
    )
    ingest = Ingest(
        partial(consumer, embedded_config, servers),
        store.save,
        refuse,
        retention,
        forwarder.stored,
        look_for_nothing,
    )
    largest = 0

    async with asyncio.timeout(280), asyncio.TaskGroup() as stages:
        forwarding = stages.create_task(forwarder.run(asyncio.Event()))
        stages.create_task(ingest.run())
        for number in range(COUNT):
            await queue.put(encode(check(number)))
            if number % 1_000 == 0:
                largest = max(largest, broker.child.process.memory_info().rss)
            if number == COUNT // 2:
                broker.child.process.kill()
        await queue.put(None)
        await forwarding
        ingest.stop.set()

    assert len(await stored(store.database, map(check, range(COUNT)))) == COUNT
    assert topic.epoch >= 2
    assert outbox.rows == 0
    assert largest < 250 << 20
    await outbox.close()
