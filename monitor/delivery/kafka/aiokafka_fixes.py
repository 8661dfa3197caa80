"""Everything that aiokafka 0.14.0 makes necessary, and that can go when aiokafka is mended.

- `close`: when the broker is gone, `stop` may wait for ever, and leaves tasks and connections behind when it
  is cancelled. So this is the one place that knows the private parts of its clients.
- `send`: in uvloop, a write to a connection that has just been closed raises a `RuntimeError`, where aiokafka
  expects an `OSError` (its issue 1038). The task that keeps a client's metadata up to date ended by that,
  unseen: the client would never have learned of a new leader. And a start that is given up while it asks for
  the cluster leaves the connection open that is for this question alone. So `send` of all connections is
  replaced when this module is imported.
- `stop_heartbeats`: a member that joins again as soon as it has joined cancels its heartbeats before they
  begin. aiokafka takes that for a cancellation of the task that keeps it in the group: the member stays out,
  unseen until the next fetch, which is cancelled then. So this replaces a method of all coordinators.
- `lz4_encode`: aiokafka compresses with level 9, and has no setting for it. For a hundred results that takes
  1.8 ms, in which the event loop stands still; level 1 takes 0.2 ms, for a fifth more bytes. So the default
  of its function is replaced.
- `send_to_coordinator`: that a coordinator has not loaded a group yet, or is none any more, is said of all
  commits together since version 2 of that answer. aiokafka does not look there: nothing seems to be
  committed, and a topic is read from its start. So this replaces a method of all coordinators.
- `explained`: the error of a client that is not let in does not have the reason.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.codec import lz4_encode
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import KafkaConnectionError, NodeNotReadyError, UnknownError, for_code
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.metadata import MetadataRequest

from monitor.config.model import Config
from monitor.delivery.kafka.diagnosis import diagnosis

_GRACE_S = 3.0
_END_S = 10.0
_LZ4_LEVEL = 1
_AGAIN_S = 0.1  # a task whose own timeout comes at the same time takes the cancellation for that, and goes on
_COMPLAIN: Any = getattr(asyncio.tasks, "_log_on_exception", None)  # what `shield` does from Python 3.14 on
_OURS = str(Path(__file__).parents[2])
_send = AIOKafkaConnection.send
_send_to_coordinator = GroupCoordinator._send_req  # noqa: SLF001 - there is no public name for it

_log = logging.getLogger(__name__)


async def close(client: Any, grace_s: float = _GRACE_S) -> None:
    """Stop a producer, consumer or admin client, started or not; return when none of its tasks is left.

    A producer sends what it holds for `grace_s` at most, and nothing after that. Cancelling ends the grace.
    A task that does not end when it is cancelled is left alone after a while.
    """
    for task in _tasks_of(client):
        task.remove_done_callback(_COMPLAIN)
        task.add_done_callback(_look_at)
    stopping = asyncio.ensure_future(client.stop() if hasattr(client, "stop") else client.close())
    try:
        await asyncio.wait([stopping], timeout=grace_s)
    finally:
        await _end(client, stopping)


async def _end(client: Any, stopping: asyncio.Future[None]) -> None:
    _disconnect(client)
    stopping.add_done_callback(_look_at)
    clock = asyncio.get_running_loop().time
    ends_at = clock() + _END_S
    try:
        while (tasks := _tasks_of(client)) and clock() < ends_at:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=_AGAIN_S)
        if tasks:
            _log.error("a Kafka client does not end, it is left alone: %s", tasks)
    finally:
        _disconnect(client)  # a task may have connected again
        client._closed = True  # noqa: SLF001 - `stop` may not have come so far
        stopping.cancel()


def _disconnect(client: Any) -> None:
    network = getattr(client, "_client", None) or client.client
    for connection in network._conns.values():  # noqa: SLF001 - there is no public list of them
        if connection.connected():
            connection._writer.transport.abort()  # noqa: SLF001 - a peer that is stuck reads no more
            connection.close()


def _tasks_of(client: Any) -> set[asyncio.Task[Any]]:
    """Return the tasks that run a method of the client or of one of its parts; aiokafka keeps no list.

    The event loop, which it keeps too, is no part of it.
    """
    parts = {id(client), *map(id, vars(client).values())} - {id(asyncio.get_running_loop())}
    return {task for task in asyncio.all_tasks() if id(_self_of(task)) in parts}


def _self_of(task: asyncio.Task[Any]) -> object:
    coroutine: Any = task.get_coro()
    code = getattr(coroutine, "cr_code", None)
    if code is None or code.co_filename.startswith(_OURS):  # a frame that was looked into keeps memory
        return task
    return coroutine.cr_frame.f_locals.get("self", task) if coroutine.cr_frame else task


def _look_at(task: asyncio.Future[Any]) -> None:
    """Read the error of a task that nobody awaits any more, so that asyncio does not complain."""
    if not task.cancelled():
        task.exception()


def send(connection: Any, request: Any, **how: Any) -> Any:
    """Send a request. A connection on which nobody waits for the cluster any more is closed.

    Raises:
        KafkaConnectionError: the connection is closed.

    """
    try:
        sending = _send(connection, request, **how)
    except RuntimeError as error:
        connection.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError(f"{connection.host}:{connection.port}: closed") from error
    if isinstance(request, MetadataRequest):
        *_, answer = connection._requests[-1]  # noqa: SLF001 - there is no public way to it
        answer.add_done_callback(lambda _: answer.cancelled() and connection.close())
    return sending


AIOKafkaConnection.send = send
lz4_encode.__defaults__ = (_LZ4_LEVEL,)


async def stop_heartbeats(coordinator: Any) -> None:
    """End the task that sends heartbeats, also if it has not begun."""
    task, coordinator._heartbeat_task = coordinator._heartbeat_task, None  # noqa: SLF001 - it is kept nowhere else
    if task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task])


GroupCoordinator._stop_heartbeat_task = stop_heartbeats  # noqa: SLF001 - there is no public name for it


async def send_to_coordinator(coordinator: Any, request: Any) -> Any:
    """Send a request to the group's coordinator.

    Raises:
        KafkaError: it cannot be reached, or cannot say what is committed.

    """
    answer = await _send_to_coordinator(coordinator, request)
    if isinstance(request, OffsetFetchRequest) and (code := getattr(answer, "error_code", 0)):
        coordinator.coordinator_dead()  # so that it is looked up again
        raise for_code(code)
    return answer


GroupCoordinator._send_req = send_to_coordinator  # noqa: SLF001 - there is no public name for it


@asynccontextmanager
async def explained(config: Config, bootstrap: str, limit_s: float) -> AsyncIterator[None]:
    """Bound the time of the block, and raise an error that names the server and the reason.

    Raises:
        KafkaConnectionError: the block failed, or took longer than `limit_s`.

    """
    try:
        async with asyncio.timeout(limit_s):
            yield
    except (KafkaConnectionError, NodeNotReadyError, TimeoutError, AttributeError) as error:
        # An `AttributeError` means in aiokafka that the cluster has no controller just now.
        what = (
            f"no answer in {limit_s:g} s" if isinstance(error, TimeoutError) else "the cluster is not ready"
        )
        reason = await diagnosis(config, bootstrap)
        raise KafkaConnectionError(reason or f"{bootstrap}: {what}") from error
    except UnknownError as error:  # how the embedded broker refuses a producer of a process not its own
        raise KafkaConnectionError(
            f"{bootstrap}: it takes no idempotent producers; an embedded broker serves its own process only"
        ) from error


class ExplainingConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types
    """A consumer whose `start` raises the errors of `explained`."""

    def __init__(
        self, *topics: str, explained: Callable[[], AbstractAsyncContextManager[None]], **settings: Any
    ) -> None:
        super().__init__(*topics, **settings)
        self._explained = explained

    async def start(self) -> None:
        async with self._explained():
            await super().start()
