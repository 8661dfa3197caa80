import asyncio
import time

from monitor.loop_lag import LoopLag
from tests.test_schedule import until


async def test_a_loop_that_was_blocked_was_late() -> None:
    lag = LoopLag()

    with lag.watched():
        await until(lambda: sum(lag.lag_s.counts) == 1)
        time.sleep(0.5)  # noqa: ASYNC251 - this is what must not happen
        await until(lambda: sum(lag.lag_s.counts) == 2)

    assert lag.lag_s.total > 0.2


async def test_nobody_watches_afterwards() -> None:
    lag = LoopLag()

    with lag.watched():
        pass
    await asyncio.sleep(0.3)

    assert sum(lag.lag_s.counts) == 0
