"""A shop where people log in: a form with a token, a session in a cookie, an API, and a way out."""

import json
import re
import threading
from dataclasses import dataclass, field
from socket import socket
from urllib.parse import parse_qs

from tests.sites import ok, read_request, redirect

CSRF = "csrf+Token/42=="
SESSION = "session-of-ada-1"
BEARER = "bearer-9f8e7d6c"
PHRASE = "correct horse & battery"
SAVE_CSRF = {"csrf": {"body_regex": 'name="csrf" value="([^"]+)"'}}


@dataclass
class Shop:
    """Answers as a shop does, and keeps what it was asked; `script` is for `serve`."""

    requests: list[bytes] = field(default_factory=list)
    pages: dict[str, bytes] = field(default_factory=dict)
    """Answers in the place of its own."""

    def script(self, connection: socket, _test_ended: threading.Event) -> None:
        request = read_request(connection)
        length = re.search(rb"(?i)content-length: (\d+)", request)
        head, _, body = request.partition(b"\r\n\r\n")
        while length and len(body) < int(length[1]):
            body += connection.recv(65_536)
        self.requests.append(head + b"\r\n\r\n" + body)
        connection.sendall(self._answer(head.decode(), body.decode()))

    def asked(self, path: str) -> list[bytes]:
        """Return the requests for a path, with its query."""
        return [each for each in self.requests if each.split()[1].decode() == path]

    def _answer(self, head: str, body: str) -> bytes:
        method, target, _ = head.split(maxsplit=2)
        path = target.partition("?")[0]
        if path in self.pages:
            return self.pages[path]
        answers = {
            "/login": self._log_in if method == "POST" else self._form,
            "/account": self._account,
            "/token": self._token,
            "/api": self._api,
            "/logout": lambda *_: ok(b"bye"),
        }
        return answers.get(path, lambda *_: _status(404))(head, body)

    def _form(self, *_: str) -> bytes:
        page = f'<form><input name="csrf" value="{CSRF.replace("+", "&#43;")}"></form>'.encode()
        return ok(page, "Content-Type: text/html", "Set-Cookie: anonymous=guest-77; Path=/")

    def _log_in(self, head: str, body: str) -> bytes:
        fields = {name: values[0] for name, values in parse_qs(body).items()}
        wanted = {"user": "ada", "password": PHRASE, "csrf": CSRF}
        if fields != wanted or "anonymous=guest-77" not in head:
            return _status(403)
        return redirect("/account", f"Set-Cookie: session={SESSION}; Path=/")

    def _account(self, head: str, _: str) -> bytes:
        is_in = f"session={SESSION}" in head
        return ok(f"Hello Ada, {CSRF} {SESSION}".encode()) if is_in else _status(401)

    def _token(self, *_: str) -> bytes:
        answer = {"access_token": BEARER, "id": 7, "ok": True, "nothing": None}
        return ok(json.dumps(answer).encode())

    def _api(self, head: str, _: str) -> bytes:
        is_in = f"Authorization: Bearer {BEARER}" in head
        return ok(f"for {BEARER}".encode()) if is_in else _status(401)


def _status(code: int) -> bytes:
    return f"HTTP/1.1 {code} No\r\nContent-Length: 2\r\n\r\nno".encode()


def log_in(place: str, **more: object) -> list[dict[str, object]]:
    """Return the steps of somebody who logs in; the second one has what is given, too."""
    form = {"user": "ada", "password": PHRASE, "csrf": "{{csrf}}"}
    return [
        {"name": "form", "url": f"{place}/login", "save": SAVE_CSRF},
        {"name": "log in", "url": f"{place}/login", "form": form, "follow_redirects": False, **more},
    ]
