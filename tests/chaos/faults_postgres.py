"""What happens to PostgreSQL."""

import asyncio

import asyncpg

from tests.chaos.world import World


async def kill_postgres(world: World) -> None:
    await asyncio.to_thread(world.postgres.kill)
    await asyncio.sleep(world.chance.uniform(0, 10))
    await asyncio.to_thread(world.postgres.start)


async def end_transactions(world: World) -> None:
    for _ in range(20):
        await asyncio.to_thread(world.postgres.disconnect, world.database)
        await asyncio.sleep(world.chance.uniform(0, 0.5))


async def lock_table(world: World, seconds: float = 60) -> None:
    connection = await asyncpg.connect(world.uri)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE health_data IN ACCESS EXCLUSIVE MODE")
            await asyncio.sleep(seconds)
    finally:
        await connection.close()


async def lock_table_briefly(world: World) -> None:
    await lock_table(world, 12)


async def make_read_only(world: World) -> None:
    await world.sql(f"ALTER DATABASE {world.database} SET default_transaction_read_only = on", "postgres")
    await asyncio.to_thread(world.postgres.disconnect, world.database)
    await asyncio.sleep(10)
    await world.sql(f"ALTER DATABASE {world.database} RESET default_transaction_read_only", "postgres")
    await asyncio.to_thread(world.postgres.disconnect, world.database)


async def take_all_connections(world: World) -> None:
    """Hold every connection that the server has, those of the program too."""
    uri = world.postgres.uri()
    taken = [await asyncpg.connect(uri)]
    try:
        for _ in range(100):
            await taken[0].execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1",
                world.database,
            )
            await _take_the_rest(uri, taken)
            if not await taken[0].fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = $1", world.database
            ):
                break
        await asyncio.sleep(15)
    finally:
        for connection in taken:
            await connection.close()


async def _take_the_rest(uri: str, taken: "list[asyncpg.Connection]") -> None:
    while True:
        try:
            taken.append(await asyncpg.connect(uri))
        except asyncpg.TooManyConnectionsError:
            return
