"""One question to one DNS server, and its answer, in bounds.

An answer that is soon sent may take long to read, because names in it refer to other names. So none is read
that is longer than answers with addresses are, and of a server that floods us only the first few.
"""

import asyncio
import socket
import struct
from typing import Any, cast

import dns.exception
import dns.flags
import dns.message

MAX_ANSWER_BYTES = 4_096
MAX_DATAGRAMS = 10

_LENGTH = struct.Struct("!H")


class _Datagrams(asyncio.DatagramProtocol):
    """Waits for the first datagram that answers the question; what else comes is noise."""

    def __init__(self, question: dns.message.Message) -> None:
        self.answer: asyncio.Future[dns.message.Message] = asyncio.get_running_loop().create_future()
        self._question = question
        self._left = MAX_DATAGRAMS

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, _: Any) -> None:
        self._left -= 1
        if not self._left:
            self._transport.abort()
        if self._left >= 0 and len(data) <= MAX_ANSWER_BYTES and not self.answer.done():
            response = _read(data)
            if response is not None and self._question.is_response(response):
                self.answer.set_result(response)


async def ask(place: str, port: int, question: dns.message.Message) -> dns.message.Message:
    """Return the answer of a server; it is asked again over TCP if that was cut. The caller bounds the time.

    Raises:
        OSError: the server cannot be asked.
        EOFError: it closed the connection.
        dns.exception.DNSException: what it sent over TCP is no answer, or too long.

    """
    transport, datagrams = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Datagrams(question), sock=_connected(place, port)
    )
    try:
        transport.sendto(question.to_wire())
        response = await datagrams.answer
    finally:
        transport.abort()
    return await _ask_by_stream(place, port, question) if response.flags & dns.flags.TC else response


def _connected(place: str, port: int) -> socket.socket:
    """Return a socket that hears nobody but this server; uvloop forgets its own when it cannot connect."""
    datagrams = socket.socket(socket.AF_INET6 if ":" in place else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        datagrams.settimeout(0)
        datagrams.connect((place, port))
    except OSError:
        datagrams.close()
        raise
    return datagrams


async def _ask_by_stream(place: str, port: int, question: dns.message.Message) -> dns.message.Message:
    reader, writer = await asyncio.open_connection(place, port)
    try:
        wire = question.to_wire()
        writer.write(_LENGTH.pack(len(wire)) + wire)
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        response = _read(await reader.readexactly(length)) if length <= MAX_ANSWER_BYTES else None
    finally:
        writer.transport.abort()
    if response is None or not question.is_response(response):
        raise dns.exception.FormError
    return response


def _read(wire: bytes) -> dns.message.Message | None:
    """Return the message, which may be cut; `None` if it is none."""
    try:
        return dns.message.from_wire(wire, raise_on_truncation=True)
    except dns.message.Truncated as cut:
        response: dns.message.Message = cut.message()  # type: ignore[no-untyped-call]  # dnspython has no type here
        return response
    except dns.exception.DNSException:
        return None
