import asyncio
from itertools import islice

import pytest

from monitor.runtime.waiting import (
    Spacing,
    StoppedError,
    delays,
    first_of,
    one_line,
    pause,
    unless_stopped,
    within,
)


def others() -> set[asyncio.Task[object]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


async def test_work_that_ends_in_time_returns_its_result() -> None:
    assert await unless_stopped(asyncio.Event(), asyncio.sleep(0, "done"), 10) == "done"


async def test_work_that_fails_raises_its_error() -> None:
    async def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await unless_stopped(asyncio.Event(), fail(), 10)


async def test_a_cancel_out_of_the_work_is_not_taken_for_ours() -> None:
    async def give_up() -> None:
        raise asyncio.CancelledError

    with pytest.raises(TimeoutError):
        await unless_stopped(asyncio.Event(), give_up(), 10)


async def test_work_without_an_end_is_cancelled_at_the_limit() -> None:
    with pytest.raises(TimeoutError, match="no answer"):
        await unless_stopped(asyncio.Event(), asyncio.Event().wait(), 0.01)
    assert others() == set()


async def test_work_without_an_end_is_cancelled_at_the_stop() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_soon(stop.set)

    with pytest.raises(StoppedError):
        await unless_stopped(stop, asyncio.Event().wait(), 10)
    assert others() == set()


async def test_a_pause_ends_by_itself() -> None:
    await pause(asyncio.Event(), 0.001)


async def test_a_stop_ends_a_pause() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_soon(stop.set)

    with pytest.raises(StoppedError):
        await pause(stop, 3_600)


async def test_it_is_known_whether_work_ended_within_its_limit() -> None:
    assert await within(3_600, asyncio.sleep(0))
    assert not await within(0.001, asyncio.Event().wait())
    assert others() == set()


async def test_the_first_of_several_events_ends_the_wait() -> None:
    first, second = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().call_soon(second.set)

    await first_of(first, second)

    assert not first.is_set()
    await asyncio.sleep(0)
    assert others() == set()


def test_turns_are_a_window_apart_and_the_first_one_begins_at_once() -> None:
    now = 100.0
    spacing = Spacing(2.0, lambda: now)
    assert spacing.left_s == 0

    spacing.begin()
    assert spacing.left_s == 2.0
    now = 101.5
    assert spacing.left_s == 0.5
    now = 102.5
    assert spacing.left_s == 0


def test_delays_double_up_to_the_longest() -> None:
    assert list(islice(delays(0.5, 5), 6)) == [0.5, 1, 2, 4, 5, 5]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("first\nsecond"), "first"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_an_error_is_written_in_one_line(error: Exception, line: str) -> None:
    assert one_line(error) == line
