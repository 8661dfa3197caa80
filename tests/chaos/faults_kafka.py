"""What happens to all brokers at once, to the network before them, to the topic, and to disks."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from tests.chaos.faults_brokers import TOPIC
from tests.chaos.faults_program import kill_program
from tests.chaos.world import World
from tests.program import until

PARTITIONS = 6
# Brokers delete topics after they have answered.
_DELETING_S = 2.0


async def kill_kafka(world: World) -> None:
    await asyncio.to_thread(world.kafka.kill)
    await asyncio.sleep(world.chance.uniform(0, 10))
    await asyncio.to_thread(world.kafka.start)


async def freeze_kafka(world: World) -> None:
    world.kafka.pause()
    await asyncio.sleep(40)
    world.kafka.resume()


async def start_without_kafka(world: World) -> None:
    await asyncio.to_thread(world.kafka.kill)
    await kill_program(world)
    await asyncio.sleep(8)
    await asyncio.to_thread(world.kafka.start)


async def cut_connections(world: World) -> None:
    """Break all connections to Kafka again and again, then refuse new ones for a while."""
    for _ in range(20):
        world.network.cut()
        await asyncio.sleep(world.chance.uniform(0, 0.5))
    await world.network.refuse()
    await asyncio.sleep(world.chance.uniform(0, 10))
    await world.network.start()


async def black_hole(world: World, seconds: float = 60) -> None:
    """Hold back all that goes to Kafka and comes from it, without an error; then let it through, late."""
    world.network.black_hole()
    await asyncio.sleep(seconds)
    await world.network.start()


async def short_black_hole(world: World) -> None:
    await black_hole(world, 8)


async def lose_replies(world: World) -> None:
    """Let Kafka do what it is asked, but hold back its answers until the connection is cut."""
    world.network.hold_replies()
    await asyncio.sleep(10)
    world.network.cut()
    await world.network.start()


async def remake_topic(world: World, gap_s: float | None = None) -> None:
    """Delete the topic, once what is in it is stored but for the last instants, and make it anew."""
    admin = AIOKafkaAdminClient(bootstrap_servers=world.kafka.bootstrap)
    await admin.start()
    try:
        began, old = await world.unstored_since(), _logs(world)
        await admin.delete_topics([TOPIC])
        await asyncio.sleep(world.chance.uniform(0, 5) if gap_s is None else gap_s)
        # The program may have made it by now, which is fine.
        await admin.create_topics([NewTopic(TOPIC, PARTITIONS, world.kafka.replicas)])
        await asyncio.to_thread(until, lambda: not old & _logs(world), "the old topic gone", 60)
        world.deleted.append((began, time.time()))
    finally:
        await admin.close()


async def remake_topic_at_once(world: World) -> None:
    await remake_topic(world, 0)


async def delete_topic(world: World) -> None:
    """Delete the topic and leave it to the program to make it anew."""
    admin = AIOKafkaAdminClient(bootstrap_servers=world.kafka.bootstrap)
    await admin.start()
    try:
        began, old = await world.unstored_since(), _logs(world)
        await admin.delete_topics([TOPIC])
        await asyncio.to_thread(until, lambda: not old & _logs(world), "the old topic gone", 60)
        world.deleted.append((began, time.time()))
    finally:
        await admin.close()


def _logs(world: World) -> set[tuple[Path, int]]:
    """Find where brokers keep the topic; those of a deleted one are still written for a moment."""
    found = set()
    for broker in world.kafka.brokers:
        for number in range(PARTITIONS):
            folder = broker.directory / f"logs/{TOPIC}-{number}"
            with suppress(FileNotFoundError):
                found.add((folder, folder.stat().st_ino))
    return found


async def run_out_of_retention(world: World) -> None:
    """Delete records while PostgreSQL is unavailable: the next one wanted is before the log's start."""
    began = await world.unstored_since()
    await asyncio.to_thread(world.postgres.kill)
    await asyncio.sleep(10)
    admin = AIOKafkaAdminClient(bootstrap_servers=world.kafka.bootstrap)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(TOPIC, n): RecordsToDelete(-1) for n in range(PARTITIONS)})
    finally:
        await admin.close()
    world.deleted.append((began, time.time() + _DELETING_S))
    await asyncio.sleep(2)
    await asyncio.to_thread(world.postgres.start)


async def fill_outbox_disk(world: World) -> None:
    """Let the disk under the outbox be full while Kafka is unavailable, and still when it is there again."""
    with world.disks["outbox"].full(1 << 20):
        await asyncio.to_thread(world.kafka.kill)
        await asyncio.sleep(20)
        await asyncio.to_thread(world.kafka.start)
        await asyncio.sleep(10)


async def fill_postgres_disk(world: World) -> None:
    """Let the disk under the table be full."""
    with world.disks["postgres"].full():
        await asyncio.sleep(20)
