"""Long lists, and what the event loop does meanwhile."""

import asyncio

from monitor.pieces import in_pieces


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
