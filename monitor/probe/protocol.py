"""What a site sends, on its way to aiohttp's parser: with bounds, and with an end."""

from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage
from aiohttp.streams import StreamReader

MAX_INTERIM = 10
MAX_HEAD_BYTES = 256 * 1024
_PIECE_BYTES = 4096  # parsed at once, as long as no body has begun
_FINAL = 200  # the status of a final response, or above


class HeadTooLongError(aiohttp.ClientError):
    """A site sends more than is read before the final response."""


class BoundedProtocol(ResponseHandler):
    """Bounds what comes before a body, and ends a body at once when what follows in it is not HTTP.

    aiohttp 3.14 parses all that has arrived before it looks at any of it, and skips interim responses (1xx)
    for as long as they come. A site that sends nothing else would stop the event loop and fill the memory.

    It can also leave the body's reader waiting: it does not pass the error on to the body, or
    it wakes the reader just before it does. With this, the error is in the body's `exception`.
    """

    _heads = 0
    _head_bytes = 0

    def set_response_params(self, **params: Any) -> None:
        """Begin to wait for the response to the next request on this connection."""
        self._heads = self._head_bytes = 0
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived: piece by piece within the bounds, until a body has begun."""
        while len(data) > _PIECE_BYTES and not self._is_in_body():
            piece, data = data[:_PIECE_BYTES], data[_PIECE_BYTES:]
            self._parse(piece)
            if self._exception is not None:
                return
        self._parse(data)

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """Hand a head on to the reader, unless there were too many."""
        self._heads += 1
        if self._heads <= MAX_INTERIM + (data[0].code >= _FINAL):
            super().feed_data(data, size)
        elif self._exception is None:
            self._refuse(f"more than {MAX_INTERIM} interim responses (1xx) before the final one")

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """Fail, and let the body fail with it."""
        body = self._payload
        super().set_exception(exc, *cause)
        if body is not None and not body.is_eof():
            if body.exception() is None:
                body.set_exception(exc, *cause)
            body.feed_eof()

    def _is_in_body(self) -> bool:
        return self._payload is not None and not self._payload.is_eof()

    def _parse(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_in_body():
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and self._exception is None:
                self._refuse(f"more than {MAX_HEAD_BYTES // 1024} KiB before the body")

    def _refuse(self, why: str) -> None:
        self.set_exception(HeadTooLongError(why))
        if self.transport is not None:
            self.transport.abort()
