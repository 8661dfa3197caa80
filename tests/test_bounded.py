"""Kafka clients whose broker is dead or deaf still end, and leave nothing behind."""

import asyncio
import signal

import pytest

from monitor import bounded
from monitor.bounded import StoppedError, started, together, unless_stopped
from tests.stream import Stream


def others() -> set[asyncio.Task[object]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


async def test_work_that_ends_in_time_gives_its_result() -> None:
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


async def test_work_that_is_done_together_gives_its_results_in_order() -> None:
    ready = asyncio.Event()

    async def wait() -> str:
        await ready.wait()
        return "first"

    async def make_ready() -> str:
        ready.set()
        return "second"

    assert await together([wait(), make_ready()]) == ["first", "second"]


async def test_work_that_fails_ends_what_is_done_together_with_it() -> None:
    async def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await together([asyncio.sleep(3_600), fail()])
    assert others() == set()


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


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_consumer_of_a_lost_broker_leaves_nothing_behind(stream: Stream, how: signal.Signals) -> None:
    async with started(stream.consumer()) as consumer:
        stream.lose(how)
        await consumer.getmany(timeout_ms=1_500)

    assert others() == set()


async def test_a_client_that_does_not_come_to_start_leaves_nothing_behind(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "START_S", 0.5)
    stream.lose(signal.SIGSTOP)

    with pytest.raises(TimeoutError):
        async with started(stream.consumer()):
            pytest.fail("there is no broker")

    assert others() == set()
