"""A task group in which no task ends unnoticed."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class TaskCancelledError(Exception):
    """A task was cancelled by code that does not own it: a bug."""


class Tasks(asyncio.TaskGroup):
    """A task group that fails when a task is cancelled by other code than the group and `end`.

    asyncio's own group goes on without such a task, and the program is half-dead.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ended: set[asyncio.Task[Any]] = set()

    def start(self, name: str, coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run the coroutine as a task of this name."""
        task = self.create_task(self._noticed(name, coroutine), name=name)
        task.add_done_callback(lambda _: coroutine.close())  # a task may be cancelled before it began
        return task

    def end(self, task: "asyncio.Task[None]") -> None:
        """Cancel a task that is no longer needed."""
        self._ended.add(task)
        task.add_done_callback(self._ended.discard)
        task.cancel()

    async def _noticed(self, name: str, coroutine: Coroutine[Any, Any, None]) -> None:
        try:
            await coroutine
        except asyncio.CancelledError as error:
            if asyncio.current_task() in self._ended or self._aborting:  # type: ignore[attr-defined]
                raise
            raise TaskCancelledError(f"{name} was cancelled") from error
