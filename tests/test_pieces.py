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
    async for number in in_pieces(range(5), 2):
        seen += [number]
    task.cancel()

    assert seen == [0, 1, "turn", 2, 3, "turn", 4]


async def test_nothing_is_in_no_piece() -> None:
    nothing: tuple[int, ...] = ()

    assert [each async for each in in_pieces(nothing)] == []
