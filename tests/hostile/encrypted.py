"""Sites whose TLS, or certificate, is odd."""

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from tests.certificates import Certificate, issue, serving
from tests.hostile.cases import Case
from tests.hostile.responses import QUICK_S
from tests.sites import Script, answer, flood, hang, ok, read_request

NAME = "127.0.0.1"
FINE = answer(ok(b"hello"))
TLS, HOST, GONE = "tls_error", "tls_hostname", "disconnected"
WAITS = {"timeout_s": QUICK_S}


@cache
def authority() -> Certificate:
    """Return the one that monitors trust."""
    return issue("CN=Authority", authority=True)


def _presenting(make: Callable[[], list[Certificate]], **settings: Any) -> Callable[[Path], ssl.SSLContext]:
    """Return what makes the context of a server with this chain, and these attributes."""

    def context(folder: Path) -> ssl.SSLContext:
        made = serving(folder, make())
        for name, value in settings.items():
            setattr(made, name, value)
        return made

    return context


def _one(
    *names: str, days: float = 90, by: Callable[[], Certificate | None] = authority, subject: str = "CN=site"
) -> Callable[[], list[Certificate]]:
    return lambda: [issue(subject, by(), *names, days=days)]


def _after_hello(*parts: bytes, then: str = "close") -> Script:
    """Read the client's hello, send these parts, then close, hang or drip."""

    def script(connection: socket.socket, ended: threading.Event) -> None:
        hello = connection.recv(65_536)
        for part in parts or (hello,):
            connection.sendall(part)
        while then == "drip" and not ended.wait(1):
            connection.sendall(b"\0")
        if then == "hang":
            ended.wait()

    return script


def _early(connection: socket.socket, _: threading.Event) -> None:
    """Answer over TLS, and close the connection below it without a word."""
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nhello")
    os.close(connection.detach())


def _half(connection: socket.socket, _: threading.Event) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhello")
    os.close(connection.detach())


good = _presenting(_one(NAME))


def _rows() -> dict[str, tuple[Script, Callable[[Path], ssl.SSLContext], tuple[str | None, ...]]]:
    names = [f"host-{number}.{'x' * 40}.example" for number in range(2_000)]
    one = _one(NAME)
    return {
        "good": (FINE, good, (None,)),
        "expired": (FINE, _presenting(_one(NAME, days=-2)), ("tls_expired",)),
        "signed by itself": (FINE, _presenting(_one(NAME, by=lambda: None)), ("tls_self_signed",)),
        "an unknown authority": (
            FINE,
            _presenting(_one(NAME, by=partial(issue, "CN=Other", authority=True))),
            ("tls_untrusted",),
        ),
        "another name": (FINE, _presenting(_one("other.example")), (HOST,)),
        "no alternative name": (FINE, _presenting(_one(subject=f"CN={NAME}")), (HOST,)),
        "NUL in a name": (FINE, _presenting(_one(f"{NAME}\0.evil.example")), (HOST,)),
        "NUL in a second name": (FINE, _presenting(_one(NAME, "good.example\0.evil.example")), (None,)),
        "escapes in names": (
            FINE,
            _presenting(_one(NAME, "\x1b[2J.example", subject="CN=\x1b[31m")),
            (None,),
        ),
        "200 names": (FINE, _presenting(_one(NAME, *names[:200])), (None,)),
        "100 kB of names": (FINE, _presenting(_one(NAME, *names)), (None, TLS)),
        "a chain of 9": (
            FINE,
            _presenting(lambda: [*one(), *(issue(f"CN=n{n}", authority=True) for n in range(8))]),
            (None,),
        ),
        "wants a certificate": (FINE, _presenting(one, verify_mode=ssl.CERT_OPTIONAL), (None,)),
        "200 session tickets": (FINE, _presenting(one, num_tickets=200), (None,)),
        "ends below TLS": (_early, good, (None, GONE, TLS)),
        "ends below TLS in the body": (_half, good, (GONE, TLS)),
        "a body without end": (flood(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 16_384), good, (None,)),
        "garbage over TLS": (answer(bytes(range(256))), good, ("protocol_error",)),
        "never answers over TLS": (hang, good, ("response_timeout",)),
    }


def _raw() -> dict[str, tuple[Script, tuple[str | None, ...]]]:
    """Return what is sent instead of a handshake."""
    record = b"\x16\x03\x03\x40\0"
    return {
        "plain text": (_after_hello(ok(b"plain")), (TLS,)),
        "an alert": (_after_hello(b"\x15\x03\x03\0\x02\x02\x28"), (TLS,)),
        "a warning, then nothing": (_after_hello(b"\x15\x03\x03\0\x02\x01\x5a", then="hang"), (TLS,)),
        "the hello sent back": (_after_hello(), (TLS,)),
        "closes at once": (lambda *_: None, (TLS, GONE)),
        "closes after the hello": (_after_hello(b""), (TLS, GONE)),
        "closes in a record": (_after_hello(record + b"\x02\0\x40"), (TLS, GONE)),
        "records without end": (flood(b"", record + bytes(16_384)), (TLS,)),
        "warnings without end": (flood(b"", b"\x15\x03\x03\0\x02\x01\x5a" * 1_000), (TLS,)),
        "a byte a second": (_after_hello(record, then="drip"), (TLS,)),
        "never answers": (hang, (TLS,)),
        "random bytes": (_after_hello(bytes(range(256)) * 100), (TLS,)),
    }


def cases() -> Iterator[Case]:
    for name, (script, tls, expected) in _rows().items():
        settings = WAITS if script is hang else {}
        yield Case("TLS", name, script=script, tls=tls, expected=expected, settings=settings)
    for name, (script, expected) in _raw().items():
        yield Case("TLS", name, script=script, expected=expected, scheme="https", settings=WAITS)
