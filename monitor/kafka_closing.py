"""The end of a Kafka client, whatever became of the broker.

aiokafka 0.14.0: when the broker is gone, `stop` may wait for ever, and leaves tasks and connections behind
when it is cancelled. So this is the one place that knows the private parts of its clients.
"""

import asyncio
from typing import Any

_GRACE_S = 3.0
_END_S = 10.0
_AGAIN_S = 0.1  # a task whose own timeout comes at the same time takes the cancellation for that, and goes on
_COMPLAIN: Any = getattr(asyncio.tasks, "_log_on_exception", None)  # what `shield` does from Python 3.14 on


async def close(client: Any, grace_s: float = _GRACE_S) -> None:
    """Stop a producer, consumer or admin client, started or not; return when none of its tasks is left.

    A producer sends what it holds for `grace_s` at most, and nothing after that. Cancelling ends the grace.
    """
    for task in _tasks_of(client):
        task.remove_done_callback(_COMPLAIN)
        task.add_done_callback(_look_at)
    stopping = asyncio.ensure_future(client.stop() if hasattr(client, "stop") else client.close())
    try:
        await asyncio.wait([stopping], timeout=grace_s)
    finally:
        await _end(client, stopping)


async def _end(client: Any, stopping: "asyncio.Future[None]") -> None:
    network = getattr(client, "_client", None) or client.client
    for connection in network._conns.values():  # noqa: SLF001 - as the head says
        if connection.connected():
            connection._writer.transport.abort()  # noqa: SLF001 - a peer that is stuck reads no more
            connection.close()
    try:
        async with asyncio.timeout(_END_S):
            while tasks := _tasks_of(client):
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks, timeout=_AGAIN_S)
    finally:
        client._closed = True  # noqa: SLF001 - `stop` may not have come so far
        stopping.cancel()
        await asyncio.gather(stopping, return_exceptions=True)


def _tasks_of(client: Any) -> set["asyncio.Task[Any]"]:
    """Find the tasks that run a method of the client or of one of its parts; aiokafka keeps no list.

    The event loop, which it keeps too, is no part of it.
    """
    parts = {id(client), *map(id, vars(client).values())} - {id(asyncio.get_running_loop())}
    return {task for task in asyncio.all_tasks() if id(_self_of(task)) in parts}


def _self_of(task: "asyncio.Task[Any]") -> object:
    frame = getattr(task.get_coro(), "cr_frame", None)
    return frame.f_locals.get("self", task) if frame else task


def _look_at(task: "asyncio.Task[Any]") -> None:
    """Look at the error of a commit that nobody awaits any more, so that asyncio does not complain."""
    if not task.cancelled():
        task.exception()
