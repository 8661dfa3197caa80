"""Waits that a stop cuts short, and Kafka clients that end in bounded time whatever becomes of the broker."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from monitor.kafka_closing import close

START_S = 60.0  # a group waits for members that are gone: a session, then a rebalance without them
_END_S = 3.0

_T = TypeVar("_T")


class StoppedError(Exception):
    """The wait was cut short because the program ends."""


async def unless_stopped(stop: asyncio.Event, work: Awaitable[_T], limit_s: float) -> _T:
    """Await the work for at most `limit_s`, and cancel it then or at `stop`.

    Raises:
        StoppedError: `stop` was set before the work ended.
        TimeoutError: the limit came first, or the work gave itself up by a cancel that is not ours.

    """
    task = asyncio.ensure_future(work)
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopped}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        if task.done() and not task.cancelled():
            return task.result()
        raise StoppedError if stop.is_set() else TimeoutError(f"no answer in {limit_s} s")
    finally:
        task.cancel()
        stopped.cancel()
        await asyncio.wait({task, stopped}, timeout=_END_S)


async def together(works: Iterable[Coroutine[Any, Any, _T]]) -> list[_T]:
    """Await all of them; the first that fails ends the others, and its error is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


@asynccontextmanager
async def started(client: Any, stop: asyncio.Event | None = None) -> AsyncIterator[Any]:
    """Start a consumer, producer or admin client, and stop it in the end, whatever becomes of the broker.

    Raises:
        TimeoutError: the cluster did not answer in time.
        KafkaError: it answered that this client is not welcome.
        StoppedError: `stop` was set before it had started.

    """
    try:
        await unless_stopped(stop or asyncio.Event(), client.start(), START_S)
        yield client
    finally:
        await close(client)
