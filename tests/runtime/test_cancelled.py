"""A bug that cancels a task does not leave the program half-dead."""

import pytest

from tests.program import Start


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
