"""A token server on loopback, and a site that wants its newest token."""

import json
import socket
import threading
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from tests.sites import Script, ok, read_request


class TokenRequest(NamedTuple):
    """What a token server got."""

    head: str
    form: dict[str, str]


def answered(status: int, **members: Any) -> bytes:
    """Return an answer in JSON."""
    body = json.dumps(members).encode()
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class TokenServer:
    """Gives out token-1, token-2 and so on; only the newest one is good for its sites."""

    def __init__(self) -> None:
        self.requests: list[TokenRequest] = []
        self.newest = ""
        self.says: dict[str, Any] = {"token_type": "Bearer", "expires_in": 3600}
        self.instead: bytes | None = None
        """What it answers instead of a token."""
        self.asked = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()

    def script(self, connection: socket.socket, test_ended: threading.Event) -> None:
        """Answer a request for a token."""
        self.requests.append(_read(connection))
        self.asked.set()
        while not (self.may_answer.wait(0.01) or test_ended.is_set()):
            pass
        if self.instead is None:
            self.newest = f"token-{len(self.requests)}"
            connection.sendall(answered(200, access_token=self.newest, **self.says))
        else:
            connection.sendall(self.instead)

    def site(self, requests: list[bytes] | None = None) -> Script:
        """Welcome those with the newest token, with what they sent; 401 is for all others."""

        def script(connection: socket.socket, _: threading.Event) -> None:
            request = read_request(connection)
            if requests is not None:
                requests.append(request)
            welcome = f"Authorization: Bearer {self.newest}\r\n".encode() in request
            connection.sendall(ok(b"welcome, " + self.newest.encode()) if welcome else answered(401))

        return script


def _read(connection: socket.socket) -> TokenRequest:
    request = read_request(connection)
    head, _, body = request.partition(b"\r\n\r\n")
    lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    while len(body) < int(lines["Content-Length"]):
        body += connection.recv(65536)
    return TokenRequest(head.decode(), dict(parse_qsl(body.decode(), keep_blank_values=True)))
