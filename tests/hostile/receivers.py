"""Sites that get alerts and heartbeats, and answer as they like. They are down, so that there are alerts."""

import socket
import threading
from collections.abc import Iterator
from select import select
from typing import Any

from tests.hostile.cases import PLACE, SECRET, SITE, Case
from tests.hostile.responses import CHUNKED, HEAD, bomb
from tests.sites import Script, answer, flood, hang, ok, read_request, redirect

_SILENCE_S = 0.5  # of a client of SMTP
_DOWN = b"HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n"


def _receiver(receive: Script, asked: threading.Event) -> Script:
    """Answer checks with 500; what else comes, also silence, by this script."""
    check = b"GET / "

    def script(connection: socket.socket, ended: threading.Event) -> None:
        asks, _, _ = select([connection], [], [], _SILENCE_S)
        if asks and connection.recv(len(check), socket.MSG_PEEK) == check:
            read_request(connection)
            connection.sendall(_DOWN)
        else:
            asked.set()
            receive(connection, ended)

    return script


def _speak(part: bytes) -> Script:
    """Send this without end to a client that waits for a greeting."""

    def script(connection: socket.socket, ended: threading.Event) -> None:
        while not ended.is_set():
            connection.sendall(part)

    return script


def _mail_servers() -> dict[str, Script]:
    return {
        "a greeting without end": _speak(b"220-hello\r\n" * 1_000),
        "a line without end": _speak(b"2" * 65_536),
        "no greeting": hang,
    }


def _answers() -> dict[str, Script]:
    return {
        "1xx without end": flood(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        "100 without end": flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000),
        "a head without end": flood(HEAD, b"X: y\r\n" * 10_000),
        "a body without end": flood(HEAD + b"\r\n", b"x" * 65_536),
        "chunks without end": flood(CHUNKED, b"1\r\nx\r\n" * 10_000),
        "a byte a second": flood(HEAD + b"\r\n", b"x", 1),
        "a bomb of gzip": bomb("gzip"),
        "a bomb of brotli": bomb("br"),
        "garbage": answer(bytes(range(256)) * 99),
        "zeros without end": flood(b"", bytes(65_536)),
        "never answers": hang,
        "closes at once": answer(),
        "to itself": answer(redirect("/", status=307)),
        "1,900 cookies": answer(HEAD + b"Set-Cookie: a=b\r\n" * 1_900 + b"Content-Length: 0\r\n\r\n"),
        "500 with escapes": answer(ok(b"\x1b[2J\0\xff").replace(b"200 OK", b"500 \x1b[31m")),
    }


def _channel(settings: Any) -> dict[str, Any]:
    return {"alerts": {"channels": {"hostile": settings}}}


_WAYS = {
    "webhook": _channel({"webhook": f"{SITE}/", "secret": SECRET}),
    "apprise": _channel(f"json://{PLACE}/{SECRET}"),
    "heartbeat": {"heartbeat_url": f"{SITE}/heartbeat"},
}
_MAIL = _channel(f"mailto://{PLACE}/?from=a@b.example&to=c@d.example&mode=insecure")
_HEARTBEATS = (
    "100 without end",
    "1xx without end",
    "a head without end",
    "a body without end",
    "never answers",
)
"""One is sent each minute, so these are the ones that matter."""


def _rows() -> Iterator[tuple[str, str, Script, dict[str, Any]]]:
    for way, keys in _WAYS.items():
        for name, receive in _answers().items():
            if way != "heartbeat" or name in _HEARTBEATS:
                yield way, name, receive, keys
    for name, receive in _mail_servers().items():
        yield "apprise", f"mail: {name}", receive, _MAIL


def cases() -> Iterator[Case]:
    settings = {"failures_to_open": 1}
    for way, name, receive, keys in _rows():
        asked = threading.Event()
        script = _receiver(receive, asked)
        yield Case(way, name, script, ("status",), settings, keys=keys, asked=asked)
