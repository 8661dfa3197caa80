import asyncio
import time

from monitor.runtime.process.event_loop import LoopLag, in_pieces
from tests.test_schedule import until


async def test_a_loop_that_was_blocked_was_late() -> None:
    lag = LoopLag()
    began = time.monotonic()

    with lag.watched():
        await until(lambda: sum(lag.lag_s.counts) >= 1)
        time.sleep(0.8)  # noqa: ASYNC251 - this is what must not happen
        await until(lambda: sum(lag.lag_s.counts) >= 2)

    assert 0.2 < lag.lag_s.total < time.monotonic() - began


async def test_nobody_watches_afterwards() -> None:
    lag = LoopLag()

    with lag.watched():
        pass

    assert lag._timer.cancelled()


async def test_the_loop_has_a_turn_after_each_piece() -> None:
    seen: list[int | str] = []

    async def other() -> None:
        while True:
            seen.append("turn")
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    async for number in in_pieces(range(21), piece_s=0):
        seen += [number]
    task.cancel()

    assert seen == [*range(10), "turn", *range(10, 20), "turn", 20]


async def test_what_takes_no_time_is_one_piece() -> None:
    task = asyncio.create_task(asyncio.sleep(0))

    assert [number async for number in in_pieces(range(1_000), piece_s=60)] == list(range(1_000))

    assert not task.done()
    await task


async def test_nothing_is_in_no_piece() -> None:
    nothing: tuple[int, ...] = ()

    assert [each async for each in in_pieces(nothing)] == []
