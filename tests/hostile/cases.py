"""What a row of the table is."""

import re
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.dns_server import DnsServer
from tests.program import Program
from tests.sites import Script, read_request

MB = 1 << 20
SECRET = "hostile-secret-9f2c7e1d"  # noqa: S105 - of the hostile monitors, and of nobody else


class Web(NamedTuple):
    """Where the program's web server listens."""

    host: str
    port: int

    @classmethod
    def of(cls, program: Program) -> "Web":
        """Return that of the program's last start."""
        host, port = re.findall(r" web: http://([\d.]+):(\d+)", program.printed())[-1]
        return cls(host, int(port))

    def connect(self, source: str = "") -> socket.socket:
        """Connect from this address; by default, from any."""
        return socket.create_connection((self.host, self.port), 60, (source, 0))

    def ask(self, request: bytes, source: str = "") -> bytes:
        """Send this on a connection of its own; return all that comes until the server closes it."""
        with self.connect(source) as connection:
            return exchange(connection, request)


def exchange(connection: socket.socket, request: bytes) -> bytes:
    """Send this; return all that comes until the server closes the connection, whichever way."""
    received = bytearray()
    with suppress(ConnectionError):
        connection.sendall(request)
    with suppress(ConnectionError):
        while part := connection.recv(65_536):
            received += part
    return bytes(received)


SITE = "the URL of the hostile site"
"""Stands for it in a configuration."""
PLACE = "the host and the port of the hostile site"

Tls = Callable[[Path], ssl.SSLContext]
Client = Callable[[Web], str]
Act = Callable[[Program], str]
Damage = Callable[[Path], None]


@dataclass(frozen=True)
class Case:
    """One hostile thing: a site (`script`), a DNS server, a client, an act of a neighbour or a file.

    `expected` are the reasons that the results of a site may have; `None` is up. A client returns what was
    wrong with the answers, and a neighbour with the program; empty, if nothing. What comes with a site
    happens after its first result.
    """

    group: str
    name: str
    script: Script | None = None
    expected: tuple[str | None, ...] = (None,)
    settings: dict[str, Any] = field(default_factory=dict)
    tls: Tls | None = None
    scheme: str = "http"
    keys: dict[str, Any] = field(default_factory=dict)
    """Keys of the configuration beside the monitor's."""
    asked: threading.Event | None = None
    """Set when the site was sent an alert, which is waited for."""
    dns: Callable[[], DnsServer] | None = None
    """Starts the server that the monitor asks, in the place of a site."""
    client: Client | None = None
    act: Act | None = None
    files: int | None = None
    """The limit of open files; the program is started with it."""
    damage: Damage | None = None

    @property
    def has_results(self) -> bool:
        return self.script is not None or self.dns is not None

    def __str__(self) -> str:
        return f"{self.group}: {self.name}"


def placed(written: Any, url: str) -> Any:
    """Return a part of a configuration with the hostile site's URL in it."""
    if isinstance(written, dict):
        return {key: placed(value, url) for key, value in written.items()}
    if isinstance(written, list):
        return [placed(value, url) for value in written]
    is_text = isinstance(written, str)
    return written.replace(SITE, url).replace(PLACE, url.partition("://")[2]) if is_text else written


def after_request(*parts: bytes) -> Script:
    """Read a request, send these parts and close both ways without losing what was sent."""

    def script(connection: socket.socket, _: Any) -> None:
        read_request(connection)
        for part in parts:
            connection.sendall(part)
        connection.shutdown(socket.SHUT_WR)

    return script


def at_once(*parts: bytes) -> Script:
    """Send these parts without waiting for a request, then close."""

    def script(connection: socket.socket, _: Any) -> None:
        for part in parts:
            connection.sendall(part)
        connection.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            while connection.recv(65_536):
                pass

    return script
