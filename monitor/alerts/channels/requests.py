"""Requests to services that get alerts and heartbeats: only the status of the answer counts."""

import os
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

MAX_ANSWER_BYTES = 16_384
"""Of an answer, whatever it is, and of the interim responses before it. What follows is not read."""

_TROUBLES = (
    (TimeoutError, "no answer in time"),
    (aiohttp.ClientConnectorDNSError, "its name is not in DNS"),
    (aiohttp.ClientSSLError, "no TLS"),
    (aiohttp.ServerDisconnectedError, "the connection was closed"),
    (aiohttp.ClientResponseError, "the answer is not valid HTTP"),
)


class _Connection(ResponseHandler):
    """A connection that ends after so many bytes.

    Otherwise interim responses without end would stop the event loop for seconds.
    """

    def __init__(self, loop: Any) -> None:
        super().__init__(loop)
        self._left = MAX_ANSWER_BYTES

    def data_received(self, data: bytes) -> None:
        """Read on, as far as there is room."""
        part, self._left = data[: self._left], max(0, self._left - len(data))
        super().data_received(part)
        if not self._left and self.transport is not None:
            self.transport.abort()


async def status_of(method: str, url: str, deadline_s: float, **options: Any) -> int:
    """Return the status of the answer to a request; `options` are those of aiohttp.

    Raises:
        TimeoutError: there is none by the deadline.
        aiohttp.ClientError, OSError: there is no connection, or no HTTP.

    """
    timeout = aiohttp.ClientTimeout(total=deadline_s)
    connector = aiohttp.TCPConnector()
    make: Any = partial(_Connection, loop=connector._loop)  # noqa: SLF001 - there is no other way in
    connector._factory = make  # noqa: SLF001
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
        session.request(method, url, **options) as response,
    ):
        return response.status


def trouble_of(error: aiohttp.ClientError | OSError) -> str:
    """Return in words why there is no answer; the text of the error itself may show a secret URL."""
    words = next((words for kind, words in _TROUBLES if isinstance(error, kind)), "no connection")
    if words == "no connection" and isinstance(error, OSError) and error.errno:
        return f"{words}: {os.strerror(error.errno).lower()}"
    return words
