"""A client of the web server that sends bytes as a test wants them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from yarl import URL

_LIMIT_S = 60.0


class RawAnswer(NamedTuple):
    status: int
    body: bytes


class RawClient:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, request: bytes) -> None:
        self._writer.write(request)

    async def answer(self) -> RawAnswer:
        """Read one answer that has a Content-Length."""
        async with asyncio.timeout(_LIMIT_S):
            head = (await self.heading()).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            return RawAnswer(int(head.split()[1]), await self._reader.readexactly(length))

    async def heading(self) -> bytes:
        """Read the status line and headers of an answer, or of an interim one."""
        async with asyncio.timeout(_LIMIT_S):
            return await self._reader.readuntil(b"\r\n\r\n")

    async def rest(self) -> bytes:
        """Read until the server closes the connection, also when it does so in the middle of something."""
        received = b""
        async with asyncio.timeout(_LIMIT_S):
            try:
                while part := await self._reader.read(65_536):
                    received += part
            except ConnectionError:
                pass
        return received


@asynccontextmanager
async def connected(url: str, source: str = "127.0.0.1") -> AsyncIterator[RawClient]:
    """Connect to the server of this URL from an address; leave without a word in the end."""
    place = URL(url)
    reader, writer = await asyncio.open_connection(place.host, place.port, local_addr=(source, 0))
    try:
        yield RawClient(reader, writer)
    finally:
        writer.transport.abort()


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    lines = (line, "Host: localhost", *headers, *([f"Content-Length: {len(body)}"] if body else []))
    return "".join(f"{each}\r\n" for each in lines).encode("latin-1") + b"\r\n" + body
