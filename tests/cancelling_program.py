"""`main.py` with a bug: a task, named by the first argument, is cancelled soon after it has begun."""

import asyncio
import sys

import uvloop

import main  # noqa: F401 - it handles a stop while the program loads
from monitor import cli

_BEGUN_S = 0.3


def loop_that_cancels(name: str) -> uvloop.Loop:
    loop = uvloop.new_event_loop()

    def cancel() -> None:
        tasks = [task for task in asyncio.all_tasks(loop) if task.get_name() == name]
        for task in tasks:
            loop.call_later(_BEGUN_S, task.cancel)
        if not tasks:
            loop.call_later(0.02, cancel)

    loop.call_soon(cancel)
    return loop


if __name__ == "__main__":
    victim = sys.argv.pop(1)
    vars(cli)["new_event_loop"] = lambda: loop_that_cancels(victim)
    sys.exit(cli.main(sys.argv[1:]))
