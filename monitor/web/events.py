"""Changes, as server-sent events.

Each stream begins with `hello`: a page that is read after it misses nothing. `change` is a change of
an incident; `status` is the new status of a monitor. The database is read once a second while somebody
listens, because other processes store results, too.

The number of a change is the id of its event: a listener that comes back with its last id gets what it
missed. Changes do not become visible in the order of their numbers, so the last few may be sent twice. None
is left out.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiohttp import web

from monitor.storage.database import StoreUnavailableError
from monitor.web.queries import PageReader

_LOOK_S = 1.0
_ALIVE_S = 7.5, 15.0  # a random time, so that not all listeners are written to in one turn of the loop
_OVERLAP = 200  # changes that another process may not have committed yet
_MAX_WAITING = 1_000
_MAX_DIGITS = 18  # of the number of a change
_REPLAYED_AT_ONCE = 500  # changes: a listener may have missed all that there are
_AT_ONCE = 10  # listeners, each of which is written to in the next turn of the loop


class Events:
    """Streams to any number of listeners, from one look a second at the database.

    A listener that comes before `run` waits for it. `on_news` is called before an event is sent.
    """

    def __init__(
        self, on_news: Callable[[], None] = lambda: None, look_s: float = _LOOK_S, max_listeners: int = 1_000
    ) -> None:
        self._reader: PageReader
        self._on_news = on_news
        self._look_s = look_s
        self.max_listeners = max_listeners
        self._listeners: set[asyncio.Queue[bytes | None]] = set()
        self._wanted = asyncio.Event()
        self._begun = asyncio.Event()
        self._seen: set[int] = set()
        self._last = 0
        self._statuses: Mapping[str, str] = {}

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/events", self._stream)]

    async def run(self, reader: PageReader) -> None:
        """Look for changes while somebody listens; wait for a database that is unavailable."""
        self._reader = reader
        while True:
            await self._wanted.wait()
            with suppress(StoreUnavailableError):
                await (self._look(reader) if self._begun.is_set() else self._begin(reader))
            await asyncio.sleep(self._look_s)
            if not self._listeners:
                self._wanted.clear()
                self._begun.clear()

    def end(self) -> None:
        for listener in self._listeners:
            listener.put_nowait(None)

    async def _begin(self, reader: PageReader) -> None:
        self._last = await reader.last_change()
        self._seen = {number for number, _ in await reader.changes_after(self._last - _OVERLAP)}
        self._statuses = await reader.statuses()
        self._begun.set()

    async def _look(self, reader: PageReader) -> None:
        changes = await reader.changes_after(self._last - _OVERLAP)
        statuses = await reader.statuses()
        news = [_text("change", content, number) for number, content in changes if number not in self._seen]
        news += [
            _text("status", {"monitor": monitor, "status": status})
            for monitor, status in statuses.items()
            if self._statuses.get(monitor) != status
        ]
        self._last = max(self._last, *(number for number, _ in changes), 0)
        self._seen = {number for number, _ in changes if number > self._last - _OVERLAP}
        self._statuses = statuses
        if news:
            self._on_news()
        for each in news:
            await self._send_to_all(each)

    async def _send_to_all(self, text: bytes) -> None:
        """Put it into every queue.

        The stream of a listener that does not keep up is closed; the listener has to connect again.
        """
        for number, listener in enumerate(list(self._listeners), 1):
            if listener.qsize() < _MAX_WAITING:
                listener.put_nowait(text)
            elif listener.qsize() == _MAX_WAITING:
                listener.put_nowait(None)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if len(self._listeners) >= self.max_listeners:
            raise web.HTTPServiceUnavailable(text="too many listeners\n")
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            }
        )
        await response.prepare(request)
        with suppress(ConnectionResetError):  # a client may leave at any time
            async with self._listening() as queue:
                await self._write(response, queue, request.headers.get("Last-Event-ID", ""))
        return response

    async def _write(
        self, response: web.StreamResponse, queue: "asyncio.Queue[bytes | None]", last: str
    ) -> None:
        await response.write(_text("hello", {}))
        if last.isascii() and last.isdigit() and len(last) <= _MAX_DIGITS:
            with suppress(StoreUnavailableError):
                await self._replay(response, int(last))
        while (text := await _next(queue)) is not None:
            await response.write(text)

    async def _replay(self, response: web.StreamResponse, missed: int) -> None:
        after = missed - _OVERLAP
        while changes := await self._reader.changes_after(after, _REPLAYED_AT_ONCE):
            for number, content in changes:
                await response.write(_text("change", content, number))
            after = changes[-1][0]

    @asynccontextmanager
    async def _listening(self) -> "AsyncIterator[asyncio.Queue[bytes | None]]":
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._listeners.add(queue)
        self._wanted.set()
        try:
            await self._begun.wait()
            yield queue
        finally:
            self._listeners.discard(queue)


async def _next(queue: "asyncio.Queue[bytes | None]") -> bytes | None:
    """Wait for an event; after a while, return a comment, which shows that the connection is alive."""
    try:
        async with asyncio.timeout(random.uniform(*_ALIVE_S)):  # noqa: S311 - no secret
            return await queue.get()
    except TimeoutError:
        return b": alive\n\n"


def _text(name: str, content: Mapping[str, Any], number: int | None = None) -> bytes:
    id_line = "" if number is None else f"id: {number}\n"
    return f"event: {name}\n{id_line}data: {json.dumps(content)}\n\n".encode()
