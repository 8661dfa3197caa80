import asyncio
import time
from collections.abc import Callable, Sequence

import pytest
import uvloop

from monitor.runtime.shared_sleep import SharedSleep
from tests.clock import NeverWaiting

LOOPS = {"never waiting": NeverWaiting}
MS = 0.001  # a timer of uvloop may be as late


async def woken(delays_s: Sequence[float], sleep: SharedSleep, now: Callable[[], float]) -> list[float]:
    """Sleep for each of these times from now on; return after how many seconds each sleep ended."""
    began = now()

    async def slept(delay_s: float) -> float:
        await sleep.sleep(delay_s)
        return now() - began

    return await asyncio.gather(*map(slept, delays_s))


@pytest.fixture
async def now() -> Callable[[], float]:
    return asyncio.get_running_loop().time


async def test_what_is_due_within_one_window_wakes_together(now: Callable[[], float]) -> None:
    found = await woken([1.0, 1.004, 1.008, 1.012, 1.05, 1.051], SharedSleep(0.01, now), now)

    assert found == pytest.approx([1.0, 1.01, 1.01, 1.02, 1.05, 1.06], abs=2.5 * MS)
    assert len(set(found)) == 5


async def test_what_comes_in_a_window_waits_for_its_end(now: Callable[[], float]) -> None:
    sleep = SharedSleep(0.01, now)
    await sleep.sleep(1)

    assert await woken([0, 0.002], sleep, now) == pytest.approx([0.01, 0.01], abs=2 * MS)


async def test_a_short_sleep_does_not_wait_for_a_long_one(now: Callable[[], float]) -> None:
    sleep = SharedSleep(0.01, now)

    assert await woken([3_600, 60, 1], sleep, now) == pytest.approx([3_600, 60, 1], abs=2 * MS)


async def test_a_cancelled_sleep_changes_nothing_for_others(now: Callable[[], float]) -> None:
    sleep = SharedSleep(0.01, now)
    cancelled = asyncio.create_task(sleep.sleep(1))
    others = asyncio.create_task(woken([1, 2], sleep, now))
    await asyncio.sleep(0.5)
    cancelled.cancel()

    assert await others == pytest.approx([1, 2], abs=2 * MS)
    assert cancelled.cancelled()


async def test_a_timer_that_comes_early_wakes_nobody(now: Callable[[], float]) -> None:
    behind_s = iter(
        [0.0, 0.0, 0.005]
    )  # of the clock when the sleep begins, its timer does, and the timer ends
    sleep = SharedSleep(0.01, lambda: now() - next(behind_s, 0.0))

    assert await woken([1], sleep, now) == pytest.approx([1], abs=2 * MS)


async def test_one_timer_is_enough_for_all(now: Callable[[], float]) -> None:
    looked_at: list[float] = []

    def look() -> float:
        looked_at.append(now())
        return looked_at[-1]

    await woken([3, 1], SharedSleep(0.01, look), now)

    after_s = [at - looked_at[0] for at in looked_at]
    assert after_s == pytest.approx([0, 0, 0, 0, 1, 1, 3], abs=2 * MS)  # as each begins, is set, and wakes


def test_on_uvloop_no_timer_comes_too_early() -> None:
    looks = 0

    def look() -> float:
        nonlocal looks
        looks += 1
        return time.monotonic()

    async def sleeps() -> None:
        sleep = SharedSleep(0.0, look)
        for _ in range(50):
            await sleep.sleep(0.0014)

    uvloop.run(sleeps())

    assert looks == 50 * 3  # when a sleep begins, when its timer is set, and when it ends


def test_on_uvloop_nobody_wakes_early_either() -> None:
    delays_s = [0.0003 * n for n in range(200)]

    found = uvloop.run(woken(delays_s, SharedSleep(0.002), time.monotonic))

    assert all(after_s >= delay_s for after_s, delay_s in zip(found, delays_s, strict=True))
