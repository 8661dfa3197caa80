import asyncio
import gc
import time
from pathlib import Path

import uvloop

from tests.chaos.steps import measure, steps


def burn(cpu_s: float) -> None:
    until = time.thread_time() + cpu_s
    while time.thread_time() < until:
        pass


async def deep() -> None:
    await asyncio.sleep(0)
    burn(0.05)
    await asyncio.sleep(0)


async def main() -> None:
    task = asyncio.create_task(deep())
    assert vars(task.get_coro())["_coroutine"].cr_frame is getattr(task.get_coro(), "cr_frame", None)
    await task


def test_only_a_long_step_is_reported_with_its_place(tmp_path: Path) -> None:
    report = tmp_path / "steps"
    loop = uvloop.new_event_loop()
    measure(loop, report)
    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(main())
    finally:
        gc.callbacks.pop()

    longest = steps(report)[-1]
    assert longest.task == "deep"
    assert longest.cpu_s >= 0.05
    assert longest.collector_s < longest.cpu_s
    assert longest.began == longest.ended
    assert longest.began.startswith("asyncio/tasks.py:")
