"""Clients of the web server that send what no browser sends."""

import gzip
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack

from tests.hostile.cases import MB, Case, Client, Web, exchange

TOKEN = "token-of-the-hostile-run"  # noqa: S105 - for this run only
BEARER = f"Authorization: Bearer {TOKEN}"
FORM = "Content-Type: application/x-www-form-urlencoded"
MULTIPART = "Content-Type: multipart/form-data"
JSON = "Content-Type: application/json"
OPEN_METRICS = "application/openmetrics-text"
MANY = 200
FEW = 256  # files that may be open

_LINKED = (
    "Sec-Fetch-Site: cross-site",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Dest: document",
    "Accept: text/html",
)
_SINCE = {
    "no time": "yesterday",
    "no ASCII": "\xff",
    "the year 99999": "Fri, 31 Dec 99999 23:59:59 GMT",
    "the year 0": "Sat, 01 Jan 0000 00:00:00 GMT",
    "day 99": "Thu, 99 Jan 2026 00:00:00 GMT",
    "a zone of 99 hours": "Thu, 01 Jan 2026 00:00:00 +9999",
    "8,000 digits": "9" * 8_000,
}
_VERSIONS = {
    "no version": "x",
    "no ASCII": "\xff",
    "9.9.9": "9.9.9",
    "8,000 digits": "9" * 8_000,
    "quotes": '"1.0',
}


def request(line: str, *headers: str, body: bytes = b"", host: str = "localhost") -> bytes:
    """Return a request after which the server closes the connection."""
    lines = [line, f"Host: {host}", "Connection: close", *headers]
    lines += [f"Content-Length: {len(body)}"] if body else []
    return "".join(f"{each}\r\n" for each in lines).encode("latin-1") + b"\r\n" + body


def get(path: str, *headers: str) -> bytes:
    return request(f"GET {path} HTTP/1.1", BEARER, *headers)


def post(path: str, *headers: str, body: bytes = b"") -> bytes:
    return request(f"POST {path} HTTP/1.1", *headers, body=body)


def statuses(received: bytes) -> list[int]:
    """Return the status of each answer in what was received."""
    return [int(code) for code in re.findall(rb"(?:\A|\n)HTTP/1\.[01] ([0-9]{3}) ", received)]


def answered_with(*expected: int, to: bytes) -> Client:
    """Send this and look at the status of the first answer."""

    def client(web: Web) -> str:
        got = statuses(web.ask(to))[:1]
        return "" if got and got[0] in expected else f"answered with {got}, not {expected}"

    return client


def closed(to: bytes) -> Client:
    """Send this; any answer or none will do, but the connection must end."""

    def client(web: Web) -> str:
        web.ask(to)
        return ""

    return client


def many(beginning: bytes) -> Client:
    """Open many connections, leave each after this beginning, and ask for a page beside them."""

    def client(web: Web) -> str:
        with ExitStack() as stack:
            for _ in range(MANY):
                stack.enter_context(web.connect()).sendall(beginning)
            got = statuses(web.ask(get("/healthz")))
        return "" if got == [200] else f"/healthz answered with {got}"

    return client


def leaving(to: bytes) -> Client:
    """Send this many times, and leave without reading the answers."""

    def client(web: Web) -> str:
        for _ in range(MANY):
            with web.connect() as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_024)
                connection.sendall(to)
        got = statuses(web.ask(get("/healthz")))
        return "" if got == [200] else f"/healthz answered with {got}"

    return client


def pipelined(web: Web) -> str:
    """Send a thousand requests at once, of which the last closes the connection."""
    one = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with web.connect() as connection:
        received = exchange(connection, one * 999 + request("GET /healthz HTTP/1.1"))
    got = statuses(received)
    return "" if got and set(got) == {200} else f"answered with {len(got)}: {set(got)}"


def events(web: Web) -> str:
    """Open the stream of events with a number that no event has."""
    with web.connect() as connection:
        connection.sendall(request("GET /events HTTP/1.1", BEARER, f"Last-Event-ID: {'9' * 4_000}"))
        got = statuses(connection.recv(65_536))
    return "" if got and got[0] < 500 else f"answered with {got}"


def _rows() -> dict[str, Client]:
    login = "/login"
    zipped = gzip.compress(bytes(16 * MB))
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "
    body = b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nab"
    refused: dict[str, tuple[bytes, tuple[int, ...]]] = {
        "a line of 9 kB": (get("/" + "a" * 9_000), (431,)),
        "a header of 9 kB": (get("/", f"X: {'a' * 9_000}"), (431,)),
        "300 headers": (get("/", *["X: a"] * 300), (400, 431)),
        "an unknown method": (request("HACK / HTTP/1.1", BEARER), (400, 405)),
        "a method of a NUL": (request("G\0T / HTTP/1.1", BEARER), (400,)),
        "TRACE": (request("TRACE / HTTP/1.1", BEARER), (400, 405)),
        "CONNECT": (request("CONNECT a:1 HTTP/1.1", BEARER), (400, 404, 405)),
        "CONNECT to no port": (request("CONNECT a:b HTTP/1.1", BEARER), (400,)),
        "an expectation that is no ASCII": (get("/", "Expect: \xff"), (417,)),
        "an expectation of 8 kB": (get("/", f"Expect: {'x' * 8_000}"), (417,)),
        "OPTIONS *": (request("OPTIONS * HTTP/1.1", BEARER), (400, 404, 405)),
        "GET *": (request("GET * HTTP/1.1", BEARER), (400,)),
        "GET of another site": (request("GET http://[/ HTTP/1.1", BEARER), (400,)),
        "no Host": (b"GET / HTTP/1.1\r\n\r\n", (400,)),
        "two Hosts": (get("/", "Host: other"), (400,)),
        "Host with a NUL": (request("GET / HTTP/1.1", BEARER, host="a\0b"), (400,)),
        "a header without a colon": (get("/", "b a d"), (400,)),
        "NUL in a header": (get("/", "X: a\0b"), (400,)),
        "HTTP/9.9": (request("GET / HTTP/9.9", BEARER), (400,)),
        "a TLS hello": (b"\x16\x03\x01\x02\0\x01\r\n\r\n", (400,)),
        "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400,)),
        "a negative length": (post(login, FORM, "Content-Length: -1"), (400,)),
        "a length and chunks": (
            post(login, FORM, "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
            (400,),
        ),
        "chunks of a bad size": (post(login, FORM, "Transfer-Encoding: chunked") + b"zz\r\n", (400,)),
        "a login that is no UTF-8": (post(login, FORM, body=b"token=\xff\xfe"), (400,)),
        "a login of an unknown charset": (post(login, f"{FORM}; charset=nonsense", body=b"token=a"), (400,)),
        "a login of 101 fields": (post(login, FORM, body=b"a&" * 101), (400,)),
        "a login of 65,537 bytes": (post(login, FORM, body=b"a" * 65_537), (413,)),
        "a broken multipart": (post(login, f"{MULTIPART}; boundary=x", body=b"--x\r\n"), (415,)),
        "a multipart without a boundary": (post(login, MULTIPART, body=b"--x\r\n"), (415,)),
        "a broken gzip": (post(login, FORM, "Content-Encoding: gzip", body=b"no gzip"), (415,)),
        "a bomb of gzip": (post(login, FORM, "Content-Encoding: gzip", body=zipped * 3), (415,)),
        "a bomb of gzip of 5 MB": (post(login, FORM, "Content-Encoding: gzip", body=zipped * 300), (415,)),
        "JSON nested 20,000 deep": (
            post("/api/v1/maintenance", JSON, BEARER, body=b"[" * 20_000),
            (400, 422),
        ),
        "JSON of a huge number": (
            post("/api/v1/maintenance", JSON, BEARER, body=b'{"duration_s": %s}' % (b"9" * 50_000)),
            (400, 422),
        ),
        "JSON that is no UTF-8": (
            post("/api/v1/maintenance", JSON, BEARER, body=b'{"a": "\xff"}'),
            (400, 422),
        ),
        "/probe from another site": (get("/probe?target=x", "Sec-Fetch-Site: cross-site"), (403,)),
        "/probe of the metadata service": (get("/probe?target=http://169.254.169.254/"), (404,)),
        "a check ordered by another site": (
            post("/monitors/m0/check", BEARER, "Origin: http://evil"),
            (403,),
        ),
        "a path up": (get("/static/../../../etc/passwd"), (400, 403, 404)),
        "a path up, encoded": (get("/static/%2e%2e%2f%2e%2e%2fetc%2fpasswd"), (400, 403, 404)),
        "a name with a NUL": (get("/monitors/%00"), (400, 404)),
        "a name that is no UTF-8": (get("/monitors/%ff%fe"), (400, 404)),
        "an incident of 18 digits": (get("/incidents/" + "9" * 18), (404,)),
        "a page of results far away": (get("/api/v1/results?monitor=%00&limit=" + "9" * 99), (400, 404, 422)),
        "a cookie of 8 kB": (
            request("GET / HTTP/1.1", "Cookie: website_health_session=" + "." * 8_000),
            (401,),
        ),
        "an authorization that is no ASCII": (
            request("GET /metrics HTTP/1.1", "Authorization: Bearer \xff"),
            (401, 429),
        ),
        "a redirect elsewhere after the login": (get("/login?next=//evil.example/"), (200,)),
        "a file with a name of 5,000 characters": (get("/static/" + "a" * 5_000), (404,)),
        "a file in 2,500 folders": (get("/static/" + "a/" * 2_500), (404,)),
        **{
            f"changed since {name}": (get("/static/page.css", f"If-Modified-Since: {since}"), (200,))
            for name, since in _SINCE.items()
        },
        **{
            f"OpenMetrics of {name}": (get("/metrics", f"Accept: {OPEN_METRICS}; version={version}"), (200,))
            for name, version in _VERSIONS.items()
        },
        "a link of another site": (get("/", *_LINKED), (200,)),
        "a link of another site, without a token": (request("GET / HTTP/1.1", *_LINKED), (303,)),
        "a link of another site to /probe": (get("/probe?target=m0", *_LINKED), (403,)),
        "a link of another site to /events": (get("/events", *_LINKED), (403,)),
        "a form of another site": (post("/monitors/m0/check", BEARER, *_LINKED), (403,)),
        "10,000 ranges": (
            get("/static/page.css", "Range: bytes=" + "0-1," * 1_900),
            (200, 206, 416, 431),
        ),
    }
    return {name: answered_with(*expected, to=sent) for name, (sent, expected) in refused.items()} | {
        f"half a head, {MANY} times": many(head),
        f"half a body, {MANY} times": many(body),
        f"nothing, {MANY} times": many(b""),
        f"/metrics, left {MANY} times": leaving(get("/metrics")),
        f"/events, left {MANY} times": leaving(get("/events")),
        f"left in the middle of a head, {MANY} times": leaving(head),
        f"left in the middle of a body, {MANY} times": leaving(body),
        "a thousand requests at once": pipelined,
        "a huge Last-Event-ID": events,
        "random bytes": closed(bytes(range(256)) * 100),
        "line ends": closed(b"\r\n" * 30_000),
    }


def cases() -> Iterator[Case]:
    rows = _rows()
    for name, client in rows.items():
        yield Case("client", name, client=client)
    for name in (each for each in rows if f"{MANY} times" in each):
        yield Case("client", f"{name}, at {FEW} files", client=rows[name], files=FEW)
