"""A site on loopback that answers 200 after a known delay and closes.

`python -m benchmarks.site [DELAY_S] [--certificate FILE]` prints its port and serves until its standard input
ends. `/answered` says how many other requests it has answered.
"""

import argparse
import asyncio
import ssl
import sys
from pathlib import Path
from typing import cast

import uvloop

BODY = b"<!doctype html><title>site</title>" + b"<p>All is well here.</p>" * 40
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n"
)
ANSWER = HEAD % len(BODY) + BODY


class Site(asyncio.Protocol):
    """Answers the first request of each connection, `delay_s` after its end."""

    answered = 0

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET /answered "):
            body = b"%d" % Site.answered
            self._send(HEAD % len(body) + body)
        elif data.endswith(b"\r\n\r\n"):
            Site.answered += 1
            if self._delay_s:
                asyncio.get_running_loop().call_later(self._delay_s, self._answer)
            else:
                self._answer()

    def _answer(self) -> None:
        self._send(ANSWER)

    def _send(self, answer: bytes) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(answer)
            self._transport.close()


async def serve(delay_s: float, certificate: Path | None) -> None:
    loop = asyncio.get_running_loop()
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    server = await loop.create_server(lambda: Site(delay_s), "127.0.0.1", 0, backlog=4096, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("delay_s", type=float, nargs="?", default=0.0)
    arguments.add_argument(
        "--certificate", type=Path, help="answer over TLS with this one (PEM, with its key)"
    )
    asked = arguments.parse_args()
    uvloop.run(serve(asked.delay_s, asked.certificate))
