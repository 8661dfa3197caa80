import asyncio
import logging
import time
from collections.abc import Callable

import pytest

from monitor.runtime import progress
from monitor.runtime.progress import Availability, Progress, Stalled, Watch


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stage(clock: Clock) -> Progress:
    return Progress("the ingest", clock)


@pytest.fixture
def watch(stage: Progress, caplog: pytest.LogCaptureFixture) -> Watch:
    caplog.set_level(logging.INFO)
    watch = Watch()
    watch.add(stage)
    return watch


def test_a_stage_that_has_nothing_to_do_is_not_stalled(stage: Progress, clock: Clock, watch: Watch) -> None:
    stage.begin("PostgreSQL")
    stage.end()

    clock.now += 3_600

    assert watch.stalled() == []


def test_a_stage_is_stalled_once_its_work_has_taken_the_limit(
    stage: Progress, clock: Clock, watch: Watch
) -> None:
    stage.begin("PostgreSQL")
    clock.now += 59
    before = watch.stalled()

    clock.now += 1

    assert before == []
    assert watch.stalled() == [Stalled("the ingest", "PostgreSQL", 60)]


def test_work_that_waits_for_another_thing_has_not_begun_anew(
    stage: Progress, clock: Clock, watch: Watch
) -> None:
    stage.begin("PostgreSQL")
    clock.now += 50
    stage.begin("Kafka")
    clock.now += 50

    assert watch.stalled() == [Stalled("the ingest", "Kafka", 100)]


def test_one_piece_of_work_that_does_not_end_is_seen_among_those_that_do(
    stage: Progress, clock: Clock, watch: Watch
) -> None:
    stage.begin("the check of a", "a", 10)
    stage.begin("the check of b", "b", 600)
    for _ in range(7):
        clock.now += 10
        stage.begin("the check of c", "c", 10)
        stage.end("c")

    assert watch.stalled() == [Stalled("the ingest", "the check of a", 70)]


def test_a_stall_is_one_line_and_its_end_is_another(
    stage: Progress, clock: Clock, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    stage.begin("PostgreSQL")
    for _ in range(100):
        clock.now += 1
        watch.look()
    stage.end()
    for _ in range(3):
        watch.look()

    assert [(each.levelname, each.message) for each in caplog.records] == [
        ("WARNING", "the ingest has made no progress for 60 s, it waits for PostgreSQL"),
        ("INFO", "the ingest makes progress again, it had waited for PostgreSQL"),
    ]


async def test_the_watch_looks_again_and_again(
    stage: Progress,
    clock: Clock,
    watch: Watch,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def logged(holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110 - polled with a limit
                await asyncio.sleep(0.001)

    monkeypatch.setattr(progress, "_LOOK_S", 0.01)
    watching = asyncio.create_task(watch.run())
    stage.begin("PostgreSQL")
    clock.now += 60
    await logged(lambda: "made no progress" in caplog.text)

    stage.end()

    await logged(lambda: "progress again" in caplog.text)
    watching.cancel()


def test_an_outage_lasts_from_the_first_failed_attempt_to_the_next_that_succeeds() -> None:
    availability = Availability("Kafka")
    availability.failed(OSError("first"))
    since_at = availability.unavailable_since_at
    availability.failed(OSError("second"))

    assert since_at == availability.unavailable_since_at == pytest.approx(time.time(), abs=5)
    assert availability.why == "second"
    assert availability.succeeded()
    assert availability.unavailable_since_at is None
    assert not availability.succeeded()


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError("connection refused"), "a:1,b:2: connection refused"),
        (OSError("b:2 is full\nof rows"), "b:2 is full"),
        (TimeoutError(), "a:1,b:2: no answer in time"),
        (TimeoutError("no answer in 5 s"), "a:1,b:2: no answer in 5 s"),
    ],
)
def test_why_a_server_is_unavailable_names_its_address_once(error: Exception, why: str) -> None:
    assert Availability("Kafka", "a:1,b:2").failed(error) == why
    assert Availability("Kafka").failed(error) == why.removeprefix("a:1,b:2: ")
