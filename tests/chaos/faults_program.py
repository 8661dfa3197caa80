"""What happens to the program, to another one of its group, and to their machine's clock."""

import asyncio
from time import time

from tests.chaos.account import FORGIVEN_S
from tests.chaos.world import World

_DAY_S = 86_400


async def kill_program(world: World) -> None:
    span_s = world.starvation.span_s(FORGIVEN_S)
    await asyncio.to_thread(world.program.kill)
    killed_at = time()
    world.kills.append((killed_at - span_s, killed_at))
    await asyncio.to_thread(world.program.start)


async def stop_program(world: World) -> None:
    code = await asyncio.to_thread(world.program.stop)
    assert code == 0, f"a stop ended with exit code {code}"
    await asyncio.to_thread(world.program.start)


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


async def set_clock(world: World) -> None:
    """Set the clock forth by hours, back behind the right time, and right again; no outage has such times."""
    async with world.outages.held():
        for offset_s in (
            world.chance.randint(3_600, 2 * _DAY_S),
            -world.chance.randint(3_600, 2 * _DAY_S),
            world.chance.randint(60, 600),
            0,
        ):
            world.clock.set(offset_s)
            await asyncio.sleep(8)
