"""Token servers that refuse, lie, or send back the secret; the site itself is the token server, too."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tests.hostile.cases import SECRET, SITE, Case
from tests.sites import Script, flood, hang, ok, read_request

DOWN = "auth_error"
OAUTH2 = {"token_url": f"{SITE}/token", "client_id": "me", "client_secret": SECRET}


def _both(server: Script, site: Callable[[bytes], bytes] = lambda _: ok(b"hello")) -> Script:
    """Be the token server for requests by POST, and the site for all others."""

    def script(connection: socket.socket, ended: threading.Event) -> None:
        if connection.recv(4, socket.MSG_PEEK) == b"POST":
            server(connection, ended)
        else:
            connection.sendall(site(read_request(connection)))

    return script


def _giving(body: bytes | dict[str, Any], status: int = 200) -> Script:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def script(connection: socket.socket, _: threading.Event) -> None:
        read_request(connection)
        connection.sendall(ok(content).replace(b"200 OK", b"%d Said" % status, 1))

    return script


def _repeating(connection: socket.socket, _: threading.Event) -> None:
    """Send the request back as what was wrong with it."""
    request = read_request(connection).decode()
    said = json.dumps({"error": "invalid_client", "error_description": f"{SECRET} {request}"}).encode()
    connection.sendall(ok(said).replace(b"200 OK", b"400 No", 1))


def cases() -> Iterator[Case]:
    token = {"access_token": SECRET, "token_type": "Bearer", "expires_in": 3600}
    servers: dict[str, tuple[Script, str | None]] = {
        "a token that the site sends back": (_both(_giving(token), ok), None),
        "one that lives for -1 s": (_both(_giving(token | {"expires_in": -1})), None),
        "one that lives for 1e308 s": (_both(_giving(b'{"access_token": "x", "expires_in": 1e308}')), None),
        "sends the secret back": (_both(_repeating), DOWN),
        "a token with line ends": (_both(_giving(token | {"access_token": "a\r\nX-Evil: 1"})), DOWN),
        "a token of 60 kB": (_both(_giving(token | {"access_token": "x" * 60_000})), DOWN),
        "JSON nested 30,000 deep": (_both(_giving(b"[" * 30_000)), DOWN),
        "a body without end": (_both(flood(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536)), DOWN),
        "garbage without end": (_both(flood(b"", b"\xff" * 65_536)), DOWN),
        "silence": (_both(hang), DOWN),
    }
    for name, (script, expected) in servers.items():
        settings = {"oauth2": OAUTH2, "timeout_s": 2.0}
        yield Case("token server", name, script, (expected,), settings)
