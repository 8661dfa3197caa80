"""Sites that answer the first of two steps with values to save, and the second with what was made of them."""

import socket
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.hostile.cases import MB, SECRET, SITE, Case
from tests.sites import Script, flood, ok, read_request, redirect

UNUSABLE = "protocol_error"
BODY = {"value": {"body_regex": "(.+)"}}
JSON = {"value": {"json": "value"}}
COOKIE = {"value": {"cookie": "value"}}
IN_HEADER = {"headers": {"X-Value": "{{value}}"}}
IN_PATH = {"url": f"{SITE}/next/{{{{value}}}}"}
IN_FORM = {"method": "POST", "form": {"value": "{{value}}"}}


class Row(NamedTuple):
    """What the first step is answered with and saves, what the second sends, and the result's reasons."""

    first: bytes | Script
    save: dict[str, Any]
    sent: dict[str, Any]
    expected: tuple[str | None, ...]


def _then_echo(first: bytes | Script) -> Script:
    """Answer the first step with this, and all that comes later with its own request."""

    def script(connection: socket.socket, ended: threading.Event) -> None:
        if b"/first" not in connection.recv(16, socket.MSG_PEEK):
            connection.sendall(ok(read_request(connection)))
        elif isinstance(first, bytes):
            read_request(connection)
            connection.sendall(first)
        else:
            first(connection, ended)

    return script


def _rows() -> dict[str, Row]:
    many = {f"value{number}": {"json": f"[{number}]"} for number in range(20)}
    cookies = [f"Set-Cookie: value{number}=x; Path=/next" for number in range(999)]
    html = "Content-Type: text/html"
    nothing: dict[str, Any] = {}
    return {
        "a value that is sent back": Row(ok(SECRET.encode()), BODY, IN_HEADER, (None,)),
        "one that is sent back from a form": Row(ok(SECRET.encode()), BODY, IN_FORM, (None,)),
        "a value that nothing is made of": Row(ok(SECRET.encode() * 1_000), BODY, nothing, ("body",)),
        "one with line ends in a header": Row(
            ok(b'{"value": "a\\r\\nX-Evil: 1"}'), JSON, IN_HEADER, (UNUSABLE,)
        ),
        "one with line ends in a path": Row(ok(b'{"value": "a\\r\\nX-Evil: 1"}'), JSON, IN_PATH, (None,)),
        "one that climbs to another host": Row(ok(b"../../@127.0.0.2:1/"), BODY, IN_PATH, (None,)),
        "one of 16 kB in a path": Row(ok(b"/" * 16_384), BODY, IN_PATH, (UNUSABLE,)),
        "one of 16 kB in a form": Row(ok(b"&" * 16_384), BODY, IN_FORM, (None,)),
        "half a surrogate": Row(ok(b'{"value": "\\ud800"}'), JSON, IN_HEADER, ("json",)),
        "a huge number": Row(ok(b'{"value": 1' + b"0" * 5_000 + b"}"), JSON, IN_HEADER, ("json",)),
        "a reference of 100,000 digits": Row(
            ok(b"&#" + b"9" * 100_000 + b";", html), BODY, IN_PATH, ("body",)
        ),
        "JSON nested 100,000 deep": Row(ok(b"[" * 100_000 + b"]" * 100_000), JSON, nothing, ("json",)),
        "20 values of JSON of 1 MB": Row(ok(b"[" + b"100000000," * 90_000 + b"1]"), many, nothing, (None,)),
        "a regular expression on 1 MB": Row(
            ok(b"a" * (MB - 1) + b"!"), {"value": {"body_regex": "((?:a+)+)$"}}, nothing, ("body",)
        ),
        "1,000 cookies": Row(ok(b"", *cookies, "Set-Cookie: value=1"), COOKIE, IN_PATH, ("header",)),
        "a cookie that is sent back": Row(ok(b"", f"Set-Cookie: value={SECRET}"), COOKIE, nothing, (None,)),
        "a cookie of another host": Row(
            ok(b"", f"Set-Cookie: value={SECRET}; Domain=example.org"), COOKIE, IN_PATH, ("header",)
        ),
        "a redirect to itself": Row(redirect("/first"), BODY, IN_PATH, ("too_many_redirects",)),
        "a body without end": Row(flood(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536), BODY, IN_PATH, ("body",)),
    }


def cases() -> Iterator[Case]:
    for name, row in _rows().items():
        steps = [
            {"name": "first", "url": f"{SITE}/first", "save": row.save},
            {"name": "next", "url": f"{SITE}/next", **row.sent},
        ]
        yield Case("steps", name, _then_echo(row.first), row.expected, {"steps": steps})
