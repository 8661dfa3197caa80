"""What a website can do to a check."""

import gzip
import resource
import socket
import threading
import zlib

import pytest

from monitor.result import Reason
from tests.sites import Check, Script, Serve, answer, flood, hang, ok, read_request

MB = 1024 * 1024


def peak_rss() -> int:
    """Return the most memory that this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def gzip_bomb() -> bytes:
    """Compress a gigabyte of zeros: the same megabyte again and again."""
    packer = zlib.compressobj(9, wbits=31)
    first, further = (packer.compress(bytes(MB)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + 1023 * further


BOMB = gzip_bomb()
HEAD = b"HTTP/1.1 200 OK\r\n"
TIMEOUTS_S = (0.5, 2.0, 8.0)  # a busy machine may not get so far within the first
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def bad_chunk_later(connection: socket.socket, test_ended: threading.Event) -> None:
    read_request(connection)
    connection.sendall(CHUNKED + b"5\r\nhello")
    test_ended.wait(0.1)
    connection.sendall(b"\r\nmuch\r\n")


SITES: dict[str, tuple[Script, Reason | None, str]] = {
    "sends nothing": (hang, Reason.RESPONSE_TIMEOUT, "no response within "),
    "closes at once": (answer(), Reason.DISCONNECTED, "the connection was closed before a response"),
    "resets at once": (
        answer(then="reset"),
        Reason.DISCONNECTED,
        "the connection was closed before a response",
    ),
    "sends half a header": (answer(HEAD + b"Content-Le"), Reason.DISCONNECTED, "closed before a response"),
    "stops in a header": (answer(HEAD + b"Content-Le", then="hang"), Reason.RESPONSE_TIMEOUT, "no response"),
    "sends headers for ever": (flood(HEAD, b"X: y\r\n", 0.01), Reason.RESPONSE_TIMEOUT, "no response"),
    "sends 1xx for ever": (
        flood(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        Reason.PROTOCOL_ERROR,
        "more than 10 interim responses (1xx) before the final one",
    ),
    "is no web server": (answer(b"SSH-2.0-OpenSSH_9.2\r\n"), Reason.PROTOCOL_ERROR, "not valid HTTP: "),
    "sends control characters": (
        answer(b"\0\1\2\x1b[31m\r\n\r\n"),
        Reason.PROTOCOL_ERROR,
        "not valid HTTP: ",
    ),
    "sends 100,000 headers": (
        answer(HEAD + b"X: y\r\n" * 100_000),
        Reason.PROTOCOL_ERROR,
        "more than 2000 lines before the body",
    ),
    "sends a header of 10 MB": (
        answer(HEAD + b"X: " + b"y" * 10 * MB),
        Reason.PROTOCOL_ERROR,
        "more than 256 KiB before the body",
    ),
    "has a negative length": (
        answer(HEAD + b"Content-Length: -1\r\n\r\n"),
        Reason.PROTOCOL_ERROR,
        "not valid HTTP: ",
    ),
    "has a length of words": (
        answer(HEAD + b"Content-Length: two\r\n\r\n"),
        Reason.PROTOCOL_ERROR,
        "not valid HTTP: ",
    ),
    "has two lengths": (
        answer(HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        Reason.PROTOCOL_ERROR,
        "not valid HTTP: ",
    ),
    "has a length beyond all": (
        answer(HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n"),
        Reason.PROTOCOL_ERROR,
        "not valid HTTP: ",
    ),
    "closes in the body": (
        answer(HEAD + b"Content-Length: 9\r\n\r\nabc"),
        Reason.DISCONNECTED,
        "closed in the middle of the body",
    ),
    "resets in the body": (
        answer(HEAD + b"Content-Length: 9\r\n\r\nabc", then="reset"),
        Reason.DISCONNECTED,
        "closed in the middle of the body",
    ),
    "closes in a chunk": (
        answer(CHUNKED + b"9\r\nabc"),
        Reason.DISCONNECTED,
        "closed in the middle of the body",
    ),
    "stops in the body": (
        answer(HEAD + b"Content-Length: 9\r\n\r\nabc", then="hang"),
        Reason.BODY_TIMEOUT,
        "the body did not end within ",
    ),
    "sends a byte now and then": (
        flood(HEAD + b"\r\n", b".", 0.05),
        Reason.BODY_TIMEOUT,
        "the body did not end",
    ),
    "has chunks without a size": (answer(CHUNKED + b"much\r\nabc\r\n"), Reason.PROTOCOL_ERROR, "HTTP: "),
    "has chunks of a wrong size": (answer(CHUNKED + b"1\r\nabc\r\n"), Reason.PROTOCOL_ERROR, "HTTP: "),
    "has a bad chunk after a big one": (
        answer(CHUNKED + b"%x\r\n" % MB, bytes(MB), b"\r\nmuch\r\n"),
        Reason.PROTOCOL_ERROR,
        "not valid HTTP: ",
    ),
    "has a bad chunk some time after a good one": (
        bad_chunk_later,
        Reason.PROTOCOL_ERROR,
        "not valid HTTP: ",
    ),
    "sends no gzip as gzip": (
        answer(ok(b"plain", "Content-Encoding: gzip")),
        Reason.PROTOCOL_ERROR,
        "not encoded as",
    ),
    "redirects to nowhere": (
        answer(b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n"),
        Reason.PROTOCOL_ERROR,
        "the redirect leads to an address that cannot be used",
    ),
    "redirects to a file": (
        answer(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n"),
        Reason.PROTOCOL_ERROR,
        "the redirect leads to an address that cannot be used",
    ),
    "redirects to a host of no name": (
        answer(b"HTTP/1.1 302 Found\r\nLocation: http://" + b"a" * 100 + b"/\r\n\r\n"),
        Reason.DNS_NOT_FOUND,
        "DNS has no address of",
    ),
    "switches protocols": (
        answer(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        Reason.STATUS,
        "status 101",
    ),
    "has an odd status": (
        answer(b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"),
        Reason.STATUS,
        "status 999",
    ),
}


@pytest.mark.parametrize("site", SITES)
async def test_a_site_that(site: str, serve: Serve, check: Check) -> None:
    script, reason, detail = SITES[site]

    url = serve(script)

    for timeout_s in TIMEOUTS_S if reason in (Reason.RESPONSE_TIMEOUT, Reason.BODY_TIMEOUT) else (60,):
        result = await check(url, timeout_s=timeout_s)
        if result.reason == reason:
            break

    assert (result.up, result.reason) == (False, reason)
    assert detail in (result.detail or "")
    assert (result.detail or "").isprintable()


BIG: dict[str, Script] = {
    "is endless": flood(HEAD + b"\r\n", b"." * MB),
    "is an endless chunk": flood(CHUNKED + b"FFFFFFFFFFF\r\n", b"." * MB),
    "is a gigabyte in gzip": answer(HEAD + b"Content-Encoding: gzip\r\n\r\n", BOMB),
    "is a gigabyte in gzip and one chunk": answer(
        HEAD + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(BOMB), BOMB
    ),
    "is a gigabyte in gzip twice": answer(HEAD + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(BOMB)),
    "comes in tiny chunks": flood(CHUNKED, b"1\r\n.\r\n" * 10_000),
}


@pytest.mark.parametrize("site", BIG)
async def test_a_body_is_read_up_to_the_limit_when_it(site: str, serve: Serve, check: Check) -> None:
    url = serve(BIG[site])
    before = peak_rss()

    result = await check(url, max_body_bytes=50_000, timeout_s=60)

    assert result.up
    assert (result.body_bytes, result.body_truncated) == (50_000, True)
    assert peak_rss() - before < 30 * MB
