"""What a web server may answer, right and wrong, and the probe that must make a result of each."""

import asyncio
import gzip
import ipaddress
import random
import socket
import struct
import sys
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from typing import Any, NamedTuple

import brotli
import uvloop
from hypothesis import strategies as st

from monitor.config.expect import Expect
from monitor.config.model import Monitor
from monitor.probe.exchange.connector import Network
from monitor.probe.probe import Probe
from monitor.result import CheckResult, decode, encode
from monitor.storage.results import ResultStore
from tests.fuzz.damage import damage
from tests.postgres import result_store

_zstd: Any = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")

TIMEOUT_S = 0.25
_LATE_S = 5.0  # a busy machine
_RAW = st.binary(max_size=12)
_PAUSE_S = 0.002


class LoopbackOnly(uvloop.Loop):
    """An event loop that connects to this machine and no other, wherever a redirect leads."""

    async def create_connection(self, *place: Any, **how: Any) -> Any:
        """Refuse what is elsewhere as a machine without a network does."""
        for host in place[1:2]:
            _refuse_elsewhere(host)
        return await super().create_connection(*place, **how)

    async def sock_connect(self, sock: Any, address: Any) -> None:
        """Refuse what is elsewhere, likewise."""
        _refuse_elsewhere(address[0])
        await super().sock_connect(sock, address)


def _refuse_elsewhere(host: str) -> None:
    if not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
        raise OSError(101, "Network is unreachable")


class Answer(NamedTuple):
    """The parts that the server sends, each in a packet of its own, and what it does then."""

    parts: tuple[bytes, ...]
    then: str


class Site:
    """Answers every connection with `answer`."""

    def __init__(self) -> None:
        self.answer = Answer((), "close")

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read a request, answer, and close; uvloop raises `RuntimeError` when the other side did before."""
        with suppress(OSError, RuntimeError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await self._converse(reader, writer)
        with suppress(OSError, RuntimeError):
            writer.close()
            await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parts, then = self.answer
        if then != "at once":
            await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(_PAUSE_S)
        if then == "hang":
            await reader.read()
        if then == "reset" and (sock := writer.get_extra_info("socket")):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


def _deflated(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


_PACKERS: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"Deflate": _deflated,
    b"br": brotli.compress,
    b"zstd": _zstd.compress,
    b"identity": bytes,
    b"gzip, gzip": lambda body: gzip.compress(gzip.compress(body)),
    b"compress": bytes,
    b"": bytes,
}

_STATUS_LINES = (
    *(b"HTTP/1.1 200 OK",) * 60,
    b"HTTP/1.0 200 OK",
    b"HTTP/1.1 204 No Content",
    b"HTTP/1.1 304 Not Modified",
    b"HTTP/1.1 206",
    b"HTTP/1.1 404 ",
    b"HTTP/1.1 999 \xff\xfe\0",
    b"HTTP/1.1 1000 x",
    b"HTTP/1.1 000 x",
    b"HTTP/1.1 -1 x",
    b"HTTP/2 200",
    b"HTTP/3.14 200 OK",
    b"HTTP/1.1 20\xb2 OK",
    b"http/1.1 200 ok",
    b"ICY 200 OK",
    b"",
)

_REDIRECTS = (b"301", b"302", b"303", b"307", b"308", b"300", b"399")

_LOCATIONS = (
    b"/",
    b"",
    b"//",
    b"///",
    b"?",
    b"#",
    b"http:",
    b"http://",
    b"https://127.0.0.1:1/",
    b"http://127.0.0.1:0/",
    b"http://127.0.0.1:99999/",
    b"http://127.0.0.1:-1/",
    b"http://127.0.0.1:%31/",
    b"http://[::1/",
    b"http://[::1]:1/",
    b"http://[::1%25lo]/",
    b"http://[v1.x]/",
    b"http://user:pass@word@127.0.0.1:1/",
    b"http://xn--/",
    b"http://xn--\xff/",
    b"http://" + b"a" * 64 + b".test/",
    b"http://" + b"a." * 200 + b"test/",
    b"http://..../",
    b"http://%00/",
    b"http://a\\b/",
    b"http://\xe2\x80\xae/",
    b"http://\xc3\x9f.test/\xff",
    b"http://0x7f.1/",
    b"http://2130706433/",
    b"http://127.1:1/",
    b"javascript:alert(1)",
    b"data:,x",
    b"file:///etc/passwd",
    b"ftp://127.0.0.1/",
    b"mailto:a@b",
    b"ws://127.0.0.1:1/",
    b"HTTP://127.0.0.1:1",
    b"/\xff\xfe",
    b"/%",
    b"/%zz%00",
    b"/" + b"a" * 9_000,
    b"/" + b"../" * 500,
    b"\t /x",
)

_HEADERS = (
    b"Content-Type: text/html; charset=utf-8",
    b"Content-Type: text/html; charset=utf-16",
    b"Content-Type: text/html; charset=utf-7",
    b"Content-Type: text/html; charset=hex",
    b"Content-Type: text/html; charset=zlib",
    b"Content-Type: text/html; charset=rot13",
    b"Content-Type: text/html; charset=idna",
    b"Content-Type: text/html; charset=mbcs",
    b"Content-Type: text/html; charset=utf-8-sig",
    b"Content-Type: text/html; charset=iso2022_jp_2",
    b"Content-Type: text/html; charset=\xff",
    b"Content-Type: ;;;=",
    b"Content-Length: 0",
    b"Content-Length: 5",
    b"Content-Length: +5",
    b"Content-Length: 0x5",
    b"Content-Length: 5, 5",
    b"Content-Length: 18446744073709551616",
    b"Content-Length: \xb2",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: xchunked",
    b"Connection: close",
    b"Connection: upgrade",
    b"Connection: keep-alive, close, upgrade",
    b"Upgrade: websocket",
    b"Upgrade: \xff",
    b"Set-Cookie: a=b",
    b"Set-Cookie: =",
    b"Set-Cookie: a=" + b"b" * 5_000 + b"; Expires=Thu, 99 Foo 99999 99:99:99 GMT",
    b"Set-Cookie: a=b; Max-Age=99999999999999999999; Domain=.; Path=\xff",
    b"Set-Cookie: \xff\0=\xfe; Domain=[::1]",
    b'Set-Cookie: "a\\"=b; expires=Mon, 01 Jan 0000 00:00:00 GMT',
    b"Set-Cookie: a=b; Expires=Fri, 31 Dec 9999 23:59:59 GMT; Max-Age=-99999999999999999999",
    b"Link: <http://[::1>; rel=\"next\"; title*=UTF-8''%ff",
    b"Location: /",
    b"Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT",
    b"Last-Modified: Fri, 31 Dec 99999 99:99:99 +9999",
    b"Date: \0",
    b": no name",
    b"no colon",
    b" folded",
    b"\tfolded",
    b"A B: c",
    b"A\xff: \xff",
    b"X: " + b"y" * 70_000,
    b"",
)

_ENDINGS = (*("close",) * 16, "reset", "reset", "hang", "at once")


def _chunked(pieces: list[tuple[bytes, bytes]], last: bytes) -> bytes:
    """Return the body in chunks; a given size replaces the right one."""
    framed = [(size or b"%x" % len(piece)) + b"\r\n" + piece + b"\r\n" for size, piece in pieces]
    return b"".join(framed) + last


_SIZES = (
    *(b"",) * 20,
    b"0",
    b"-1",
    b"+1",
    b"0x1",
    b"FFFFFFFFFFFFFFFFF",
    b" 1",
    b"1;a=b",
    b'1;a="\r\n"',
    b"\xb2",
)
_LASTS = (
    *(b"0\r\n\r\n",) * 9,
    b"",
    b"0\r\n",
    b"0\r\nA: b\r\n\r\n",
    b"0\r\nbad trailer\r\n\r\n",
    b"00000\r\n\r\nmore",
)

_bodies = st.one_of(_RAW, st.sampled_from([b"<html>" * 999, b"\0" * 2_000_000, b"\xff\xfe\x00\xd8" * 20_000]))


@st.composite
def _framed(draw: st.DrawFn) -> tuple[list[bytes], bytes]:
    """Return a body as it is sent, and the headers that describe it."""
    encoding = draw(st.sampled_from([*(b"", b"gzip", b"deflate", b"br", b"zstd") * 4, *_PACKERS]))
    body = _PACKERS[encoding](draw(_bodies))
    source = draw(st.randoms(use_true_random=False))
    if draw(st.integers(0, 3)) == 0:
        body = damage(body, source)
    headers = [b"Content-Encoding: " + encoding] if encoding else []
    framing = draw(st.sampled_from(["length", "chunked", "close"]))
    if framing == "length":
        length = max(0, len(body) + draw(st.sampled_from([*(0,) * 9, -1, 1, 1_000])))
        headers.append(b"Content-Length: %d" % length)
    if framing == "chunked":
        headers.append(b"Transfer-Encoding: chunked")
        middle = len(body) // 2
        pieces = [(draw(st.sampled_from(_SIZES)), piece) for piece in (body[:middle], body[middle:]) if piece]
        body = _chunked(pieces, draw(st.sampled_from(_LASTS)))
    return headers, body


@st.composite
def _written(draw: st.DrawFn) -> bytes:
    """Return one answer."""
    headers, body = draw(_framed())
    line = draw(st.sampled_from(_STATUS_LINES))
    if draw(st.integers(0, 3)) == 0:
        line = b"HTTP/1.1 " + draw(st.sampled_from(_REDIRECTS)) + b" Moved"
        headers.append(b"Location: " + draw(st.one_of(st.sampled_from(_LOCATIONS), _RAW)))
    headers += draw(st.lists(st.sampled_from(_HEADERS), max_size=draw(st.sampled_from([0, 0, 1, 3]))))
    end = draw(st.sampled_from([*(b"\r\n",) * 9, b"\n", b"\r"]))
    head = end.join([line, *headers, b"", b""])
    early = draw(
        st.sampled_from([b"", b"", b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 x\r\nA: b\r\n\r\n"])
    )
    return early + head + body


def _split(whole: bytes, source: random.Random, count: int) -> tuple[bytes, ...]:
    places = sorted(source.randrange(len(whole) + 1) for _ in range(count))
    return tuple(whole[a:b] for a, b in zip([0, *places], [*places, len(whole)], strict=True))


@st.composite
def _answers(draw: st.DrawFn) -> Answer:
    whole = draw(_written())
    source = draw(st.randoms(use_true_random=False))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        whole = damage(whole, source)
    parts = _split(whole, source, draw(st.sampled_from([0, 0, 0, 1, 3])))
    return Answer(parts, draw(st.sampled_from(_ENDINGS)))


answers: st.SearchStrategy[Answer] = st.one_of(
    _answers(),
    _answers(),
    _answers(),
    st.builds(Answer, st.tuples(st.binary(max_size=80)), st.sampled_from(_ENDINGS)),
)


def _only_here(host: str, *_: Any, **__: Any) -> list[Any]:
    """Look up a name: every valid name is this machine."""
    host.encode("idna")
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]


class Answers:
    """A site, probes of it, and the database that their results must fit."""

    def __init__(self, site: Site, port: int, network: Network, store: ResultStore) -> None:
        self.checks = 0
        self.reasons: Counter[str] = Counter()
        self._site = site
        self._store = store
        settings: dict[str, Any] = {"url": f"http://127.0.0.1:{port}/", "timeout_s": TIMEOUT_S}
        monitors = (
            Monitor(name="plain", **settings),
            Monitor(name="kept", reuse_connection=True, max_body_bytes=1_000, **settings),
            Monitor(name="strict", expect=Expect(body_regex=("nowhere",), json=("a == `1`",)), **settings),
        )
        self._probes = [Probe(monitor, "here", network) for monitor in monitors]

    async def check(self, answer: Answer) -> None:
        """Check the site that answers so: it must be a result, in time, that travels and is stored."""
        self._site.answer = answer
        loop = asyncio.get_running_loop()
        for probe in self._probes:
            self.checks += 1
            began = loop.time()
            result = await probe.check(1_790_000_000.0 + self.checks)
            assert loop.time() - began < TIMEOUT_S + _LATE_S, f"it took {loop.time() - began} s"
            self._hold(result)
            await self._store.save([result])
            self.reasons[result.reason or "up"] += 1

    def _hold(self, result: CheckResult) -> None:
        assert decode(encode(result).value) == result, "it does not travel"
        assert result.up == (result.reason is None) == (result.detail is None)
        assert (result.detail or "").isprintable(), f"not for people: {result.detail!r}"
        assert result.response_time >= 0

    async def close(self) -> None:
        """Close the connections."""
        for probe in self._probes:
            await probe.close()


@asynccontextmanager
async def answering(database: str) -> AsyncIterator[Answers]:
    """Run the site."""
    site, store = Site(), result_store(database)
    server = await asyncio.start_server(site, "127.0.0.1", 0, limit=1 << 20)
    port = server.sockets[0].getsockname()[1]
    async with Network(4, _only_here) as network:
        running = Answers(site, port, network, store)
        try:
            yield running
        finally:
            await running.close()
            await store.database.close()
            server.close()
