"""What can go wrong, each as one coroutine that does it, waits, and mends it."""

import asyncio
from collections.abc import Awaitable, Callable
from time import time

import asyncpg

from tests.chaos import faults_rare as rare
from tests.chaos.world import World


async def kill_program(world: World) -> None:
    world.kills.append(time())
    await asyncio.to_thread(world.program.kill)
    await asyncio.to_thread(world.program.start)


async def stop_program(world: World) -> None:
    code = await asyncio.to_thread(world.program.stop)
    assert code == 0, f"a stop ended with exit code {code}"
    await asyncio.to_thread(world.program.start)


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


async def kill_postgres(world: World) -> None:
    await asyncio.to_thread(world.postgres.kill)
    await asyncio.sleep(world.chance.uniform(0, 10))
    await asyncio.to_thread(world.postgres.start)


async def end_transactions(world: World) -> None:
    for _ in range(20):
        await asyncio.to_thread(world.postgres.disconnect, world.database)
        await asyncio.sleep(world.chance.uniform(0, 0.5))


async def lock_table(world: World, seconds: float = 60) -> None:
    connection = await asyncpg.connect(world.postgres.uri(world.database))
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE health_data IN ACCESS EXCLUSIVE MODE")
            await asyncio.sleep(seconds)
    finally:
        await connection.close()


async def make_read_only(world: World) -> None:
    await world.sql(f"ALTER DATABASE {world.database} SET default_transaction_read_only = on", "postgres")
    await asyncio.to_thread(world.postgres.disconnect, world.database)
    await asyncio.sleep(10)
    await world.sql(f"ALTER DATABASE {world.database} RESET default_transaction_read_only", "postgres")
    await asyncio.to_thread(world.postgres.disconnect, world.database)


async def take_all_connections(world: World) -> None:
    await world.sql(f"ALTER DATABASE {world.database} CONNECTION LIMIT 0", "postgres")
    # The limit is not for superusers: one is not let in at all.
    await world.sql(f"ALTER DATABASE {world.database} ALLOW_CONNECTIONS false", "postgres")
    await asyncio.to_thread(world.postgres.disconnect, world.database)
    await asyncio.sleep(10)
    await world.sql(f"ALTER DATABASE {world.database} ALLOW_CONNECTIONS true", "postgres")


async def second_process(world: World) -> None:
    """Let another process join the group, work, and leave it by force."""
    await asyncio.to_thread(world.second.start)
    await asyncio.sleep(15)
    await asyncio.to_thread(world.second.kill)


async def freeze_second_process(world: World) -> None:
    """Let another process hold partitions beyond the session's timeout, and come back."""
    await asyncio.to_thread(world.second.start)
    await asyncio.sleep(10)
    process = world.second.process
    process.suspend()
    await asyncio.sleep(20)
    process.resume()
    await asyncio.sleep(5)
    await asyncio.to_thread(world.second.stop)


FAULTS: dict[str, Callable[[World], Awaitable[None]]] = {
    fault.__name__: fault
    for fault in (
        kill_program,
        stop_program,
        kill_kafka,
        freeze_kafka,
        start_without_kafka,
        kill_postgres,
        end_transactions,
        lock_table,
        make_read_only,
        take_all_connections,
        second_process,
        freeze_second_process,
        rare.cut_connections,
        rare.black_hole,
        rare.short_black_hole,
        rare.lose_replies,
        rare.remake_topic,
        rare.remake_topic_at_once,
        rare.delete_topic,
        rare.run_out_of_retention,
        rare.fill_outbox_disk,
        rare.fill_postgres_disk,
    )
}
