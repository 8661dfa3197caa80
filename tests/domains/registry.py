"""A registry on loopback: IANA's list of RDAP servers, and answers about domains."""

import json
import socket
import threading
from typing import Any

from tests.sites import ok, read_request


def expiring(date: object, *others: dict[str, Any]) -> bytes:
    """Return an answer about a domain that expires then."""
    events = [{"eventAction": "registration", "eventDate": "2001-01-01T00:00:00Z"}, *others]
    events.append({"eventAction": "expiration", "eventDate": date})
    body = {"objectClassName": "domain", "ldhName": "example.com", "events": events}
    return ok(json.dumps(body).encode(), "Content-Type: application/rdap+json")


def answering(status: int, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} Said", "Content-Length: 0", *headers, "", ""]).encode()


class Registry:
    """Knows of each domain when it expires; `instead` is what it answers instead."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[str] = []
        self.heads: list[str] = []
        self.dates: dict[str, str] = {}
        self.instead: bytes | None = None
        self.list_instead: bytes | None = None

    def script(self, connection: socket.socket, _: threading.Event) -> None:
        """Answer a request."""
        head = read_request(connection).decode()
        path = head.split()[1]
        self.requests.append(path)
        self.heads.append(head)
        if path == "/dns.json":
            connection.sendall(self.list_instead or ok(self._list()))
        elif self.instead is not None:
            connection.sendall(self.instead)
        else:
            date = self.dates.get(path.removeprefix("/com/v1/domain/"))
            connection.sendall(expiring(date) if date else answering(404))

    def _list(self) -> bytes:
        services = [[["com", "net"], ["ftp://x.example/", f"{self.url}/com/v1/"]], [["org"], []]]
        return json.dumps({"version": "1.0", "services": services}).encode()
