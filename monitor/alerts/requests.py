"""Requests to services that get alerts and heartbeats: only the status of the answer counts."""

from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

MAX_ANSWER_BYTES = 16_384
"""Of an answer, whatever it is, and of the interim responses before it. What follows is not read."""


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
