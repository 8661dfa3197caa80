"""What runs beside the stages of the pipeline."""

import asyncio

from monitor.pipeline import _every_hour
from monitor.storage.database import StoreUnavailableError


async def test_what_the_database_has_refused_is_tried_again_before_the_hour_is_over() -> None:
    tries: asyncio.Queue[None] = asyncio.Queue()

    async def step() -> None:
        tries.put_nowait(None)
        raise StoreUnavailableError("db.example: no answer in time")

    task = asyncio.create_task(_every_hour(step, 0.01))
    for _ in range(3):
        await asyncio.wait_for(tries.get(), 60)
    task.cancel()
