"""Connections of clients: how many there may be, and how long they may wait.

Checks need file handles, too. So there is a limit of connections, in all and for one client. At a limit, the
connection that has waited longest for its client gives way to a new one: for a request, for the body of one,
or for room to send the answer. The new one is refused only when none waits. And none waits without end.
"""

import asyncio
from collections import Counter
from http import HTTPStatus
from typing import Any, cast

from aiohttp import ClientConnectionResetError, StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import LineTooLong
from yarl import URL

from monitor.runtime.process import resources
from monitor.web.clients.access import route
from monitor.web.clients.addresses import Clients
from monitor.web.clients.requests import Refusals

MAX_CONNECTIONS = 2_000
HANDLES_SHARE = 4
"""The web server takes no more than a quarter of the file handles; the rest is for checks."""
CLIENT_SHARE = 2
"""One client takes no more than half of the connections; a trusted proxy has many clients."""
HEAD_S = 10.0
"""The time for the head of a request, from its first byte; for the first one, also for that byte."""
IDLE_S = 75.0
"""The time from one request to the next; longer than that of most proxies, which would lose requests."""
SEND_S = 60.0
"""The time for which a client may take too little of an answer."""

NO_REQUEST = "this is no request of HTTP/1.1"
_CONTINUE = "100-continue"
_LEFT = (web.RequestPayloadError, ClientConnectionResetError)
"""What aiohttp raises when a client leaves, or the rest of a body is broken after the answer."""


def max_connections() -> int:
    """Return how many connections the web server may have; it depends on the file handles of the process."""
    return max(4, min(MAX_CONNECTIONS, resources.file_limit() // HANDLES_SHARE))


class Connections(web.Server):
    """All connections of a server that answers as `server` does."""

    def __init__(self, server: web.Server, clients: Clients, refusals: Refusals, most: int) -> None:
        super().__init__(self._answer, request_factory=self._begin)
        self._answer_it = server.request_handler
        self.clients = clients
        self.refusals = refusals
        self._make_request_of = server.request_factory
        self._most = most
        self._open: set[Connection] = set()
        self._of_client: Counter[str] = Counter()
        self._waiting: dict[Connection, None] = {}  # the longest first

    def __call__(self) -> "Connection":
        return Connection(self)

    def admit(self, new: "Connection") -> bool:
        """Return whether there is room for a new connection; at a limit, one that waits gives way to it."""
        limited = self._of_client[new.client] >= self._most // CLIENT_SHARE and not new.is_of_proxy
        if limited or len(self._open) >= self._most:
            self.refusals.add_connection(new.client)
            rivals = (each for each in self._waiting if not limited or each.client == new.client)
            longest = next(rivals, None)
            if longest is None:
                return False
            self.remove(longest)
            longest.abort()
        self._open.add(new)
        self._of_client[new.client] += 1
        return self.note_waiting(new)

    def remove(self, connection: "Connection") -> None:
        """Count this connection no more."""
        self.note_work(connection)
        if connection in self._open:
            self._open.remove(connection)
            self._of_client[connection.client] -= 1
            if not self._of_client[connection.client]:
                del self._of_client[connection.client]

    def note_waiting(self, connection: "Connection") -> bool:
        """Note that the connection waits for its client, if it is open; return whether it is."""
        if connection not in self._open:
            return False
        self._waiting[connection] = None
        return True

    def note_work(self, connection: "Connection") -> None:
        """Note that the connection does not wait for its client."""
        self._waiting.pop(connection, None)

    def _begin(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> web.BaseRequest:
        connection = cast("Connection", protocol)
        connection.begin(payload)
        if cast("URL | None", message.url) is None:  # of CONNECT to nothing
            self.refusals.add_request(connection.client, NO_REQUEST)
            message = message._replace(method="UNKNOWN", url=URL("/"), should_close=True)
        return self._make_request_of(message, payload, protocol, writer, task)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        expected = request.headers.get("Expect", _CONTINUE)
        if expected.lower() != _CONTINUE:
            self.refusals.add_request(self.clients.of(request), "it expects something unknown")
            raise web.HTTPExpectationFailed(text=f"nothing but {_CONTINUE} can be expected\n")
        return await self._answer_it(request)


class Connection(web.RequestHandler):
    """One connection, which is closed when the client lets it wait for too long."""

    __slots__ = ("_all", "_has_begun", "_sending", "_timer", "_waits", "_wire", "client", "is_of_proxy")

    def __init__(self, connections: Connections) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(connections, loop=loop, access_log=None, auto_decompress=False)  # type: ignore[arg-type]
        self._all = connections
        self._waits = True  # for a request
        self._has_begun = False  # the head of that request
        self._timer = self._sending = loop.call_later(HEAD_S, self.abort)
        self._wire: asyncio.Transport
        self.client = ""
        self.is_of_proxy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername") or ("",)
        self.client, self.is_of_proxy = self._all.clients.of_peer(str(peer[0]))
        if self._all.admit(self):
            super().connection_made(transport)
        else:
            self.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._all.remove(self)
        self._timer.cancel()
        self._sending.cancel()
        super().connection_lost(exc)

    def abort(self) -> None:
        """Close the connection now, also when the client takes nothing."""
        self._wire.abort()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if data and self._waits and not self._has_begun:
            self._has_begun = True
            self._timer.cancel()
            self._timer = self._loop.call_later(HEAD_S, self._give_up)

    def begin(self, body: StreamReader) -> None:
        """Note that the head of a request is here, and maybe its body."""
        self._waits = self._has_begun = False
        self._timer.cancel()
        if body.is_eof():
            self._work()
        else:
            body.on_eof(self._work)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            if self._all.note_waiting(self):
                self._waits = True
                self._timer = self._loop.call_later(IDLE_S, self.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._all.note_waiting(self)
        self._sending = self._loop.call_later(SEND_S, self.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._work()
        self._sending.cancel()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it shows what the client sent
    ) -> web.StreamResponse:
        """Answer what is no request, or caused a bug, in one line, and close the connection."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            text = "a bug; the log of the program has more"
            self.log_exception(route(cast("web.Request", request)), exc_info=exc)
        else:
            too_long = isinstance(exc, LineTooLong)
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if too_long else HTTPStatus.BAD_REQUEST
            text = "the head is too long" if too_long else NO_REQUEST
            self._all.refusals.add_request(self.client, text)
        if request.writer.output_size:
            raise ConnectionError("an answer has begun, there cannot be another one")
        answer = web.Response(status=status, text=f"{text}\n")
        answer.force_close()
        return answer

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log a bug at the place that the first argument names."""
        error = kw.get("exc_info")
        if not isinstance(error, _LEFT):
            self._all.refusals.log_bug(str(args[0]), error)

    def _work(self) -> None:
        if not self._waits:
            self._all.note_work(self)

    def _give_up(self) -> None:
        self._all.refusals.add_request(self.client, f"no whole head within {HEAD_S:g} s")
        self.abort()
