"""One response at a time from the bytes of a connection.

aiohttp's parser reads the head and finds the body. What it is fed is decided here: at most `MAX_HEAD_BYTES`,
`MAX_HEAD_LINES` and `MAX_INTERIM` interim responses before the body, a head as browsers read it, and nothing
once the response is complete.
"""

import re
from asyncio import AbstractEventLoop, BaseTransport, Future, TimerHandle, Transport
from collections.abc import Sequence
from typing import Any, cast

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpResponseParser, RawResponseMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from monitor.probe.exchange.request import Request
from monitor.probe.exchange.tls import Peer
from monitor.probe.failures import Failed, connection_lost
from monitor.result import Reason
from monitor.runtime.text import quoted

MAX_HEAD_BYTES = 256 * 1024  # of the head, and of the interim responses before it
MAX_HEAD_LINES = 2_000  # likewise
MAX_INTERIM = 10
MAX_APART_BYTES = 256 * 1024  # in a row that are no part of the body: trailers, extensions of chunks
_BUFFER_BYTES = 131_072  # for the parser; it also stops at one chunk for 16 of them
# Of the body; the site waits at twice as many. On uvloop and with TLS, what comes while it waits is lost if
# the connection ends then, so this is seldom.
_UNREAD_BYTES = 524_288

_FINAL = 200  # the status of a final response, or above
_SWITCHING = 101
_WITHOUT_BODY = {_SWITCHING, 204, 304}

_HEAD_END = re.compile(rb"\n\r?\n")
_HTTP = re.compile(rb"\s*HTTP/1\.[01] [0-9]{3}[ \r\n]")
_LINE_END = re.compile(rb"\r?\n(?![ \t])")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")


def mended(head: bytes) -> bytes:
    """Return the head as browsers read it: what aiohttp's parser would refuse, although they do not.

    A line without a valid name is left out. So is the length beside `chunked`, and what repeats it.
    """
    status, *lines = _LINE_END.split(head.strip(b"\r\n"))
    split = [line.partition(b":") for line in lines]
    fields = [(name, value.strip()) for name, _, value in split if _NAME.match(name)]
    lengths = {
        each.strip()
        for name, value in fields
        if name.lower() == b"content-length"
        for each in value.split(b",")
    }
    chunked = any(
        name.lower() == b"transfer-encoding" and value.lower() == b"chunked" for name, value in fields
    )
    kept = [name + b": " + value for name, value in fields if name.lower() != b"content-length"]
    kept += [] if chunked else [b"Content-Length: " + each for each in lengths]
    return b"\r\n".join([status, *kept, b"", b""])


class Wire(BaseProtocol):
    """A connection that is asked one request after another; use it from one task at a time.

    With `hold`, nothing is read until TLS has begun.
    """

    _parser: Any  # none where no response is expected
    _refused: str | None  # what the parser said about the head
    _trouble: str | None

    __slots__ = (
        "_apart",
        "_before",
        "_bodyless",
        "_closing",
        "_continued",
        "_head",
        "_hold",
        "_interim",
        "_lines",
        "_lost_by",
        "_mended",
        "_payload",
        "_refused",
        "_surplus",
        "_trouble",
        "_waiter",
        "ip",
        "message",
    )

    def __init__(self, loop: AbstractEventLoop, *, hold: bool = False) -> None:
        super().__init__(loop)
        self._hold = hold
        self._head = b""  # of the response that is awaited, as far as it is there
        self._waiter: Future[None] | None = None
        self._lost_by: BaseException | None = None
        self._closing: TimerHandle | None = None
        self._payload: StreamReader = EMPTY_PAYLOAD
        self.ip: str | None = None  # the peer's
        self.message: RawResponseMessage | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        """Take the transport; both loops have switched Nagle's algorithm off."""
        self.transport = cast("Transport", transport)
        if self._hold:
            self.transport.pause_reading()

    def secured(self, transport: Transport | None) -> None:
        """Take the transport that encrypts; it is None if the connection is lost already."""
        self.transport = transport

    @property
    def peer(self) -> Peer | None:
        """The TLS of the connection."""
        transport: Any = self.transport
        return transport and cast("Peer", transport.get_extra_info("ssl_object"))

    async def ask(self, request: Request) -> RawResponseMessage:
        """Send the request and return the head of the response, when it is there.

        Raises:
            Failed: the connection is lost, or the answer is not HTTP.

        """
        self._expect(request)
        if self.transport is not None:
            self.transport.write(request.head if request.waits else request.head + request.body)
            if self.message is None and self._trouble is None:
                self._waiter = self._loop.create_future()
                await self._waiter
        if self.message is None:
            raise self._failed(in_body=False)
        return self.message

    def _expect(self, request: Request) -> None:
        """Begin to wait for the response. What has come before is a part of it."""
        self._bodyless = request.bodyless
        self._continued = request.body if request.waits else b""
        self._before = self._lines = self._interim = self._apart = 0
        self._surplus = self._mended = False
        self._refused = self._trouble = None
        self._payload = EMPTY_PAYLOAD
        self.message = None
        self._parser = self._new_parser()
        early, self._head = self._head, b""
        if early:
            self._take_head(early)

    async def more(self) -> bytes:
        """Return the next part of the body, as it was sent; nothing at its end.

        Raises:
            Failed: the connection is lost, or the body is not what its headers say.

        """
        part = await self._payload.readany()
        if not part and (self._trouble is not None or self._lost_by is not None):
            raise self._failed(in_body=True)
        return part

    @property
    def is_read(self) -> bool:
        """Whether `more` has returned the whole body."""
        return self._payload.at_eof() and self._trouble is None and self._lost_by is None

    @property
    def reusable(self) -> bool:
        """Whether the response is complete and the connection fit for another request."""
        return (
            self.message is not None
            and not self.message.should_close
            and self.message.code != _SWITCHING
            and self._payload.is_eof()
            and not (self._surplus or self._mended)
            and self.is_open
        )

    @property
    def is_open(self) -> bool:
        """Whether nothing came since the last response, not even the end of the connection."""
        return self.transport is not None and not self.transport.is_closing() and not self._head

    def keep(self, for_s: float) -> None:
        """Wait for another request, but not for ever."""
        self._forget()
        self._closing = self._loop.call_later(for_s, self.abort)

    def resume(self) -> bool:
        """Return whether the kept connection can be asked again; if not, it is closed."""
        self._stop_waiting()
        if self.is_open:
            return True
        self.abort()
        return False

    def abort(self) -> None:
        """Close the connection at once."""
        self._stop_waiting()
        self._forget()
        if self.transport is not None:
            self.transport.abort()

    def _stop_waiting(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None

    def _forget(self) -> None:
        """Drop the response: parser, body and protocol refer to each other."""
        self._parser = None
        self._payload = EMPTY_PAYLOAD
        self.message = None

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT002 - as in aiohttp
        """Read on after a pause; the body's reader asks for that after each part, mostly without one."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def data_received(self, data: bytes) -> None:
        """Read on in the head or the body."""
        if self._parser is None:
            self._head += data
            if len(self._head) > MAX_HEAD_BYTES:
                self.abort()
        elif self.message is None:
            self._take_head(data)
        else:
            self._take_body(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End what is awaited."""
        super().connection_lost(exc)
        if self._parser is None:
            return
        if self.message is None:
            self._lost_by = exc
            if self._refused is not None and self._trouble is None:
                self._trouble = _invalid(self._refused)
            self._wake()
        elif not self._payload.is_eof():
            self._end_body(exc)

    def _end_body(self, lost_by: BaseException | None) -> None:
        """End a body that nothing but the end of the connection ends, or that is not complete."""
        self._lost_by = lost_by
        if lost_by is None:
            try:
                self._parser.feed_eof()
            except HttpProcessingError:
                self._lost_by = ConnectionResetError()
        if self._lost_by is not None:
            self._payload.feed_eof()

    def _new_parser(self) -> HttpResponseParser:
        return HttpResponseParser(
            self,
            self._loop,
            _BUFFER_BYTES,
            response_with_body=not self._bodyless,
            read_until_eof=True,
            auto_decompress=False,
            max_line_size=MAX_HEAD_BYTES,
            max_field_size=MAX_HEAD_BYTES,
            max_headers=MAX_HEAD_LINES,
        )

    def _take_head(self, data: bytes) -> None:
        while data and self.message is None and self._trouble is None:
            known = len(self._head)
            self._head += data
            end = _HEAD_END.search(self._head, max(0, known - 2))
            length = end.end() if end else len(self._head)
            data = self._head[length:]
            self._lines += self._head.count(b"\n", known, length)
            if self._before + length > MAX_HEAD_BYTES:
                self._fail(f"more than {MAX_HEAD_BYTES // 1024} KiB before the body")
            elif self._lines > MAX_HEAD_LINES:
                self._fail(f"more than {MAX_HEAD_LINES} lines before the body")
            else:
                self._parse_head(known, length, ended=end is not None)
        if data and self.message is not None:
            self._take_body(data)

    def _parse_head(self, known: int, length: int, *, ended: bool) -> None:
        """Parse the head as far as it is there; as browsers would, if the parser refuses it."""
        self._head = self._head[:length]
        messages = self._parsed(self._head[known:]) if self._refused is None else ()
        refused = self._refused
        if refused is not None and _HTTP.match(self._head) and ended:
            self._parser, self._mended = self._new_parser(), True
            self._refused = None
            messages = self._parsed(mended(self._head))
        if self._refused is not None and (ended or not _HTTP.match(self._head)):
            self._fail(_invalid(refused or self._refused))
        elif ended:
            self._before += length
            self._head = b""
        if messages:
            self._take_message(*messages[0])

    def _parsed(self, data: bytes) -> Sequence[tuple[RawResponseMessage, StreamReader]]:
        try:
            messages: Sequence[tuple[RawResponseMessage, StreamReader]] = self._parser.feed_data(data)[0]
        except HttpProcessingError as error:
            self._refused = error.message
            return ()
        return messages

    def _take_message(self, message: RawResponseMessage, payload: StreamReader) -> None:
        if message.code < _FINAL and message.code != _SWITCHING:
            self._interim += 1
            if self._interim > MAX_INTERIM:
                self._fail(f"more than {MAX_INTERIM} interim responses (1xx) before the final one")
            elif self._continued and self.transport is not None:
                self.transport.write(self._continued)
                self._continued = b""
            return
        self.message = message
        payload.set_read_chunk_size(_UNREAD_BYTES)
        if not self._bodyless and message.code not in _WITHOUT_BODY:
            self._payload = payload
        self._wake()

    def _take_body(self, data: bytes) -> None:
        """Parse the body; what follows it is left alone."""
        if self._payload.is_eof():
            self._surplus = self._surplus or bool(data)
            return
        known = self._payload.total_bytes
        try:
            self._surplus = bool(self._parser.feed_data(data)[0])
        except HttpProcessingError as error:
            self._surplus = True
            if not self._payload.is_eof():
                self._fail(_invalid(error.message))
            return
        grew = self._payload.total_bytes != known or self._payload.is_eof()
        self._apart = 0 if grew else self._apart + len(data)
        if self._apart > MAX_APART_BYTES:
            self._fail(f"more than {MAX_APART_BYTES // 1024} KiB that are no part of the body")

    def _fail(self, why: str) -> None:
        self._trouble = why
        if self.message is None:
            self._wake()
        else:
            self._payload.feed_eof()
        if self.transport is not None:
            self.transport.abort()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _failed(self, *, in_body: bool) -> Failed:
        if self._trouble is not None:
            return Failed(Reason.PROTOCOL_ERROR, self._trouble)
        return connection_lost(self._lost_by, in_body=in_body)


def _invalid(message: str) -> str:
    return f"not valid HTTP: {quoted(message)}"
