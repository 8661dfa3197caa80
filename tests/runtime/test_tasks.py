import asyncio

import pytest

from monitor.runtime.tasks import TaskCancelledError, Tasks
from tests.program import Start


async def wait() -> None:
    await asyncio.Event().wait()


async def test_a_task_that_somebody_cancels_ends_the_group_with_the_place_where_it_was() -> None:
    async def run() -> None:
        async with Tasks() as tasks:
            lost = tasks.start("the ingest", wait())
            tasks.start("the forwarder", wait())
            asyncio.get_running_loop().call_soon(lost.cancel)
            await wait()

    with pytest.RaisesGroup(
        pytest.RaisesExc(TaskCancelledError, match="^the ingest was cancelled$")
    ) as caught:
        await run()

    assert isinstance(caught.value.exceptions[0].__cause__, asyncio.CancelledError)


async def test_a_task_that_has_done_its_part_is_ended_in_silence() -> None:
    async with Tasks() as tasks:
        task = tasks.start("the upkeep", wait())
        await asyncio.sleep(0)

        tasks.end(task)

    assert task.cancelled()


async def test_one_that_fails_is_the_only_failure_that_is_raised() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    async def run() -> None:
        async with Tasks() as tasks:
            tasks.start("the ingest", wait())
            await asyncio.sleep(0)
            tasks.start("the forwarder", fail())

    with pytest.RaisesGroup(ZeroDivisionError):
        await run()


async def test_one_who_cancels_the_whole_group_hears_of_no_failure() -> None:
    async with asyncio.timeout(5):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), Tasks() as tasks:
                tasks.start("the ingest", wait())


@pytest.mark.parametrize(
    "task",
    [
        "monitor only",
        "the sender",
        "the forwarder",
        "the ingest",
        "the upkeep",
        "the watch of the stages",
        "the watch of The embedded broker",
    ],
)
def test_a_cancelled_task_ends_the_program_with_its_traceback(
    program: Start, database: str, task: str
) -> None:
    monitor = program(pg_uri=database, monitors=[{"name": "only", "url": "http://127.0.0.1:9/"}])
    monitor.script = ("-m", "tests.cancelling_program", task)

    code, _ = monitor.run()

    assert code == 1
    assert f"TaskCancelledError: {task} was cancelled" in monitor.printed()
    assert monitor.printed().count("TaskCancelledError: ") == 1
    assert "Traceback" in monitor.printed()
