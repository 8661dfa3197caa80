"""Websites that misbehave, each on a real socket, and the probe that checks them."""

import asyncio
import os
import resource
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import psutil
import pytest
import trustme
import uvloop

from monitor.config.model import Monitor
from monitor.probe.exchange.connector import Network
from monitor.probe.probe import Probe
from monitor.result import CheckResult
from tests.ports import free_ports

Script = Callable[[socket.socket, threading.Event], None]
Serve = Callable[..., str]
Check = Callable[..., Awaitable[CheckResult]]


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the probe's tests on both event loops, whose exceptions differ, and others on their `LOOPS`."""
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    loops = getattr(getattr(item, "module", None), "LOOPS", loops)
    if "probe" in item.path.relative_to(item.config.rootpath).parts:
        loops["uvloop"] = uvloop.new_event_loop
    return loops


def read_request(connection: socket.socket) -> bytes:
    """Read up to the end of the request's headers."""
    request = b""
    while b"\r\n\r\n" not in request and (part := connection.recv(65536)):
        request += part
    return request


def answer(*parts: bytes, then: str = "close") -> Script:
    """Read a request and send these parts, then `close`, `hang` or `reset` the connection."""

    def script(connection: socket.socket, test_ended: threading.Event) -> None:
        read_request(connection)
        for part in parts:
            connection.sendall(part)
        if then == "hang":
            test_ended.wait()
        if then == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return script


def flood(beginning: bytes, part: bytes, every_s: float = 0) -> Script:
    """Read a request, send the beginning, then the part again and again until nobody listens."""

    def script(connection: socket.socket, test_ended: threading.Event) -> None:
        read_request(connection)
        connection.sendall(beginning)
        while not test_ended.wait(every_s):
            connection.sendall(part)

    return script


def hang(_: socket.socket, test_ended: threading.Event) -> None:
    """Accept the connection and never answer."""
    test_ended.wait()


def tunnel(requests: list[bytes]) -> Script:
    """Act as a proxy: record each request, and connect those with CONNECT to their target."""

    def script(connection: socket.socket, _test_ended: threading.Event) -> None:
        requests.append(read_request(connection))
        if not requests[-1].startswith(b"CONNECT "):
            connection.sendall(ok(b"by proxy"))
            return
        host, _, port = requests[-1].split()[1].decode().partition(":")
        with socket.create_connection((host, int(port))) as site:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            pump = threading.Thread(target=_copy, args=(site, connection))
            pump.start()
            _copy(connection, site)
            pump.join()

    return script


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def ok(body: bytes = b"", *headers: str) -> bytes:
    """Return a good response."""
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def redirect(place: str, *headers: str, status: int = 302) -> bytes:
    """Return a response without a body that leads to a place."""
    lines = [f"HTTP/1.1 {status} Moved", f"Location: {place}", "Content-Length: 0", *headers, "", ""]
    return "\r\n".join(lines).encode()


def closed_port() -> int:
    """Return a port on which nobody listens."""
    (port,) = free_ports(1)
    return port


def connecting_to(port: int) -> int:
    """Return how many connections of this process to the port wait for the listening side."""
    connections = psutil.Process().net_connections("tcp4")
    return sum(each.status == psutil.CONN_SYN_SENT and each.raddr.port == port for each in connections)


@contextmanager
def no_file_descriptor() -> Iterator[None]:
    """Leave this process no file descriptor to open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Site(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 100

    def __init__(
        self,
        script: Script,
        tls: ssl.SSLContext | None,
        test_ended: threading.Event,
        place: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:
        self.script, self.tls, self.test_ended = script, tls, test_ended
        super().__init__(place, socketserver.BaseRequestHandler)

    def finish_request(self, request: Any, _: object) -> None:
        with suppress(OSError):  # the probe closed the connection, as it should
            if self.tls is None:
                self.script(request, self.test_ended)
            else:
                with self.tls.wrap_socket(
                    request, server_side=True, do_handshake_on_connect=False
                ) as encrypted:
                    _shake_hands(encrypted)
                    self.script(encrypted, self.test_ended)

    def shutdown_request(self, request: Any) -> None:
        with suppress(OSError):
            self.close_request(request)


def _shake_hands(connection: ssl.SSLSocket) -> None:
    try:
        connection.do_handshake()
    except ssl.SSLError:
        while os.read(connection.fileno(), 65536):
            """A connection closed with something unread is reset, and the alert lost."""
        raise


@contextmanager
def sites() -> Iterator[Serve]:
    """Start sites that treat each connection by a script; each URL comes without a slash at its end.

    In the end, each of their connections must end too.
    """
    with ExitStack() as stack:
        test_ended = threading.Event()

        def start(script: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> str:
            site = stack.enter_context(Site(script, tls, test_ended))
            serving = threading.Thread(target=site.serve_forever, args=(0.01,))
            serving.start()
            stack.callback(serving.join)
            stack.callback(site.shutdown)
            return f"{'https' if tls else 'http'}://{host}:{site.server_address[1]}"

        yield start
        test_ended.set()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Provide a test's sites."""
    with sites() as start:
        yield start


async def in_time(checking: Coroutine[Any, Any, CheckResult], timeout_s: float) -> CheckResult:
    """Return the result of a check that must end within its timeout, and 100 turns of the event loop."""
    ending = asyncio.ensure_future(checking)
    await asyncio.wait([ending], timeout=timeout_s)
    for _ in range(100):
        await asyncio.wait([ending], timeout=0.01)
    assert ending.done(), f"the check goes on after its timeout of {timeout_s:g} s"
    return await ending


@pytest.fixture
async def check(serve: Serve) -> AsyncIterator[Check]:
    """Check a URL once; the check must end within its timeout."""
    del serve  # sites outlive the probe's connections
    async with Network(4) as network:

        async def check_once(url: str, *, of: Network = network, **settings: Any) -> CheckResult:
            settings = {"timeout_s": 5.0, **settings}
            probe = Probe(Monitor(name="site", url=url, **settings), "here", of)
            result = await in_time(probe.check(1000.0), settings["timeout_s"])
            await probe.close()
            return result

        yield check_once


class Authority:
    """A certificate authority, and its file for clients."""

    def __init__(self, folder: Any) -> None:
        self.ca = trustme.CA()
        self.file = folder / "ca.pem"
        self.ca.cert_pem.write_to_path(self.file)

    def server(self, *names: str, **validity: Any) -> ssl.SSLContext:
        """Make a server's TLS context with a certificate for these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*names, **validity).configure_cert(context)
        return context


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Provide the authority that monitors trust."""
    return Authority(tmp_path_factory.mktemp("ca"))
