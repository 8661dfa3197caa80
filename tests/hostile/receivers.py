"""Sites that get alerts by a webhook, and answer as they like. They are down, so that there is an alert."""

import socket
import threading
from collections.abc import Iterator

from tests.hostile.cases import Case
from tests.hostile.responses import CHUNKED, HEAD
from tests.sites import Script, answer, flood, hang, ok, read_request, redirect

DOWN = b"HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n"


def _receiver(receive: Script, asked: threading.Event) -> Script:
    """Answer checks with 500; what else comes, by this script."""

    def script(connection: socket.socket, ended: threading.Event) -> None:
        if connection.recv(1, socket.MSG_PEEK) == b"G":
            read_request(connection)
            connection.sendall(DOWN)
        else:
            asked.set()
            receive(connection, ended)

    return script


def cases() -> Iterator[Case]:
    receivers: dict[str, Script] = {
        "1xx without end": flood(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        "a head without end": flood(HEAD, b"X: y\r\n" * 10_000),
        "a body without end": flood(HEAD + b"\r\n", b"x" * 65_536),
        "chunks without end": flood(CHUNKED, b"1\r\nx\r\n" * 10_000),
        "garbage": answer(bytes(range(256)) * 99),
        "zeros without end": flood(b"", bytes(65_536)),
        "never answers": hang,
        "closes at once": answer(),
        "to itself": answer(redirect("/", status=307)),
        "1,900 cookies": answer(HEAD + b"Set-Cookie: a=b\r\n" * 1_900 + b"Content-Length: 0\r\n\r\n"),
        "500 with escapes": answer(ok(b"\x1b[2J\0\xff").replace(b"200 OK", b"500 \x1b[31m")),
    }
    for name, receive in receivers.items():
        asked = threading.Event()
        script = _receiver(receive, asked)
        settings = {"failures_to_open": 1}
        yield Case("receiver", name, script=script, expected=("status",), settings=settings, asked=asked)
