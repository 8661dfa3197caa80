"""Sites that answer with what is no HTTP, hardly HTTP, or too much of it."""

import gzip
import json
import re
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from typing import Any

import brotli

from tests.hostile.cases import MB, SECRET, SITE, Case, at_once
from tests.sites import Script, answer, flood, hang, ok, read_request, redirect

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"Content-Length: 0\r\n\r\n"
KIB_256 = 256 * 1024
QUICK_S = 2.0  # the timeout where the site keeps the check waiting

BAD, GONE, LATE, SLOW = "protocol_error", "disconnected", "response_timeout", "body_timeout"
DENIED = {"deny_addresses": ["127.0.0.2", "0.0.0.0/8"]}
WAITS = {"timeout_s": QUICK_S}

Rows = dict[str, tuple[Any, ...]]


def _head_of(length: int) -> bytes:
    """Return a complete response whose head has exactly so many bytes."""
    lines = [HEAD]
    left = length - len(HEAD) - len(END)
    while left > 0:
        size = left if left <= 60_000 else 50_000
        lines.append(b"X: " + b"y" * (size - 5) + b"\r\n")
        left -= size
    return b"".join([*lines, END])


def _lengths(*values: str, chunked: bool = False) -> bytes:
    fields = "".join(f"Content-Length: {each}\r\n" for each in values)
    fields += "Transfer-Encoding: chunked\r\n" if chunked else ""
    return HEAD + fields.encode() + b"\r\n" + (b"5\r\nhello\r\n0\r\n\r\n" if chunked else b"hello")


def _drip(beginning: bytes, rest: bytes) -> Script:
    """Send the rest one byte a second."""

    def script(connection: socket.socket, ended: threading.Event) -> None:
        read_request(connection)
        connection.sendall(beginning)
        for byte in rest * 10:
            if ended.wait(1):
                return
            connection.sendall(bytes([byte]))

    return script


def _echo(beginning: Callable[[bytes], bytes]) -> Script:
    """Answer with what is made of the request, and so of the secrets in it."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(beginning(read_request(connection)))

    return script


def _secret_in(request: bytes) -> bytes:
    found = re.search(rb"Bearer (\S+)", request)
    return found[1] if found else b""


def _redirect(location: bytes) -> Script:
    return answer(b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n")


@cache
def _zeros(encoding: str) -> bytes:
    """Return a gigabyte (with brotli an eighth of it) of zeros, encoded."""
    if encoding == "zstd":
        zstd: Any = import_module("backports.zstd")
        return bytes(zstd.compress(bytes(16 * MB))) * 64
    if encoding == "br":
        return bytes(brotli.compress(bytes(128 * MB), quality=1))
    packer = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    first, further = (packer.compress(bytes(MB)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + 1023 * further


def bomb(encoding: str) -> Script:
    """Send a lot of zeros in a small body."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        read_request(connection)
        connection.sendall(ok(_zeros(encoding), f"Content-Encoding: {encoding}"))

    return script


def _encoded(encoding: str, body: bytes) -> Script:
    return answer(ok(body, f"Content-Encoding: {encoding}"))


def _packed(encoding: str) -> bytes:
    text = b"welcome " * 1_000
    if encoding == "zstd":
        return bytes(import_module("backports.zstd").compress(text))
    if encoding == "br":
        return bytes(brotli.compress(text))
    return gzip.compress(text) if encoding == "gzip" else zlib.compress(text)


def _heads() -> Rows:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    return {
        "1xx without end": (flood(b"", interim), BAD),
        "11 interim responses": (answer(interim * 11 + ok(b"x")), BAD),
        "10 interim responses": (answer(interim * 10 + ok(b"x")), None),
        "a head of 256 KiB": (answer(_head_of(KIB_256)), None),
        "a head of 256 KiB and a byte": (answer(_head_of(KIB_256 + 1)), BAD),
        "a head of 256 KiB less a byte": (answer(_head_of(KIB_256 - 1)), None),
        "a head without end, fast": (flood(HEAD, b"X: " + b"y" * 60_000 + b"\r\n"), BAD),
        "a line of 64 kB": (answer(HEAD + b"X: " + b"y" * 64_000 + b"\r\n" + END), None),
        "a name of 64 kB": (answer(HEAD + b"X" * 64_000 + b": y\r\n" + END), None),
        "513 headers": (answer(HEAD + b"X: y\r\n" * 512 + END), None),
        "3,000 headers": (answer(HEAD + b"X: y\r\n" * 3_000 + END), BAD),
        "10,000 headers of one name, expected": (
            answer(HEAD + b"X: y\r\n" * 1_900 + END),
            "header",
            {"expect": {"header_regex": {"X": "z"}}},
        ),
        "no colon": (answer(HEAD + b"no colon here\r\n" + END), None),
        "NUL in a header": (answer(HEAD + b"X: a\0b\r\n" + END), BAD),
        "NUL in a name": (answer(HEAD + b"X\0Y: ab\r\n" + END), None),
        "a folded header": (answer(HEAD + b"X: a\r\n b\r\n\tc\r\n" + END), None),
        "an empty name": (answer(HEAD + b": a\r\n" + END), None),
        "a space before the colon": (answer(HEAD + b"X : a\r\n" + END), None),
        "a name that is no ASCII": (answer(HEAD + b"\xc3\xa4\xff: a\r\n" + END), None),
        "only LF": (answer(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"), None),
        "CR alone in a header": (answer(HEAD + b"X: a\rY: b\r\n" + END), BAD),
        "1,000 cookies": (answer(HEAD + b"Set-Cookie: a=b\r\n" * 1_000 + END), None),
        "a cookie of 1 MB": (answer(HEAD + b"Set-Cookie: a=" + b"b" * MB + b"\r\n" + END), BAD),
        "1,000 cookies at each redirect": (
            answer(HEAD.replace(b"200", b"302") + b"Set-Cookie: a=b\r\n" * 1_000 + b"Location: /\r\n" + END),
            "too_many_redirects",
        ),
    }


def _status_lines() -> Rows:
    lines: dict[str, tuple[bytes, str | None]] = {
        "no reason phrase": (b"HTTP/1.1 200", None),
        "an empty reason phrase": (b"HTTP/1.1 200 ", None),
        "three spaces": (b"HTTP/1.1   200   OK", BAD),
        "status 99": (b"HTTP/1.1 99 x", BAD),
        "status 1000": (b"HTTP/1.1 1000 x", BAD),
        "status -1": (b"HTTP/1.1 -1 x", BAD),
        "status 999": (b"HTTP/1.1 999 x", "status"),
        "status 000": (b"HTTP/1.1 000 x", GONE),
        "a status of other digits": (b"HTTP/1.1 20\xb2 x", BAD),
        "HTTP/2.0": (b"HTTP/2.0 200 OK", None),
        "HTTP/9.9": (b"HTTP/9.9 200 OK", BAD),
        "small letters": (b"http/1.1 200 ok", BAD),
        "ICY": (b"ICY 200 OK", BAD),
        "a reason of NUL, escapes and no UTF-8": (b"HTTP/1.1 500 \x1b[2J\0\xff", "status"),
        "a reason of 60 kB": (b"HTTP/1.1 500 " + b"x" * 60_000, "status"),
    }
    return {
        name: (answer(line + b"\r\nContent-Length: 2\r\n\r\nok"), *expected)
        for name, (line, *expected) in lines.items()
    }


def _no_http() -> Rows:
    return {
        "garbage": (answer(bytes(range(256)) * 4), BAD),
        "garbage without end": (flood(b"", bytes(range(128, 256)) * 512), BAD),
        "zeros without end": (flood(b"", bytes(65_536)), BAD),
        "line ends without end": (flood(b"", b"\r\n" * 32_768), BAD, LATE),
        "HTTP/0.9": (answer(b"<html>hello</html>"), BAD),
        "the preface of HTTP/2": (answer(b"\0\0\x12\x04\0\0\0\0\0" + bytes(18), then="hang"), BAD, WAITS),
        "SSH": (answer(b"SSH-2.0-OpenSSH_9.2\r\n"), BAD),
        "the request sent back": (_echo(lambda request: request), BAD),
        "a TLS alert": (answer(b"\x15\x03\x03\0\x02\x02\x28"), BAD),
        "closes at once": (lambda *_: None, GONE),
        "closes after the request": (answer(), GONE),
        "closes after half a status line": (answer(b"HTTP/1.1 2"), GONE),
        "closes after half a head": (answer(HEAD + b"Content-Le"), GONE),
        "resets at once": (answer(then="reset"), GONE),
        "resets after half a head": (answer(HEAD, then="reset"), GONE),
        "never answers": (hang, LATE, WAITS),
        "stops in the head": (answer(HEAD + b"X: y", then="hang"), LATE, WAITS),
        "a byte a second in the head": (_drip(HEAD, b"X: y\r\n"), LATE, WAITS),
        "answers before the request": (at_once(ok(b"early")), None, GONE),
        "garbage after the answer, on a kept connection": (
            answer(ok(b"one"), b"\0garbage\r\n\r\n", then="hang"),
            None,
            {"reuse_connection": True},
        ),
        "answers twice": (answer(ok(b"one") + ok(b"two")), None),
    }


def _bodies() -> Rows:
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    return {
        "a negative length": (answer(_lengths("-1")), BAD),
        "a huge length": (answer(_lengths("9" * 30)), BAD),
        "a length of 2^63": (answer(_lengths(str(2**63))), GONE, BAD),
        "two equal lengths": (answer(_lengths("5", "5")), None),
        "two lengths": (answer(_lengths("5", "4")), BAD),
        "a list of lengths": (answer(_lengths("5, 5")), None),
        "a length and chunks": (answer(_lengths("3", chunked=True)), None),
        "length +5": (answer(_lengths("+5")), BAD),
        "length 0x5": (answer(_lengths("0x5")), BAD),
        "an empty length": (answer(_lengths("")), BAD),
        "a length of other digits": (answer(_lengths("\u0665")), BAD),
        "a bad size": (answer(CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n"), BAD),
        "a negative size": (answer(CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n"), BAD),
        "a huge size": (answer(CHUNKED + b"f" * 17 + b"\r\nhello"), BAD),
        "a size of 1 MB of zeros": (answer(CHUNKED + b"0" * MB + b"5\r\nhello\r\n0\r\n\r\n"), BAD, None),
        "a chunk of another size": (answer(CHUNKED + b"1\r\nhello\r\n0\r\n\r\n"), BAD),
        "an extension of 1 MB": (answer(CHUNKED + b"5;" + b"x" * MB + b"\r\nhello\r\n0\r\n\r\n"), BAD),
        "a trailer of 1 MB": (answer(CHUNKED + b"0\r\nX: " + b"y" * MB + b"\r\n\r\n"), BAD),
        "trailers without end": (flood(CHUNKED + b"0\r\n", b"X: y\r\n" * 10_000), BAD),
        "chunks cut": (answer(CHUNKED + b"5\r\nhel"), GONE),
        "no last chunk": (answer(CHUNKED + b"5\r\nhello\r\n"), GONE),
        "500,000 chunks of a byte": (answer(CHUNKED + b"1\r\nx\r\n" * 500_000 + b"0\r\n\r\n"), None),
        "an encoding of transfer that is unknown": (
            answer(HEAD + b"Transfer-Encoding: xyz\r\n\r\nhello"),
            BAD,
            None,
        ),
        "a body shorter than said": (answer(HEAD + b"Content-Length: 9\r\n\r\nabc"), GONE),
        "a body longer than said": (answer(HEAD + b"Content-Length: 3\r\n\r\nabcdefghi"), None),
        "204 with a body": (answer(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"), None),
        "304 with a body": (answer(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello"), None),
        "101": (answer(b"HTTP/1.1 101 x\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello"), "status"),
        "HEAD with a body": (answer(ok(b"hello" * 10_000)), None, {"method": "HEAD"}),
        "a body without end, fast": (flood(HEAD + b"\r\n", b"x" * 65_536), None),
        "chunks without end, fast": (flood(CHUNKED, chunk), None),
        "a body without end, slow": (flood(HEAD + b"\r\n", b"x" * 100, 0.05), SLOW, WAITS),
        "a body that stops": (answer(HEAD + b"Content-Length: 9\r\n\r\nabc", then="hang"), SLOW, WAITS),
        "a byte a second in the body": (_drip(HEAD + b"Content-Length: 99\r\n\r\n", b"x"), SLOW, WAITS),
        "resets in the body": (answer(HEAD + b"Content-Length: 9\r\n\r\nabc", then="reset"), GONE),
        "no UTF-8, with NUL": (answer(ok(b"\xff\xfe\0\xc3(\xed\xa0\x80" * 1_000)), None),
        "escapes of terminals": (
            answer(b"HTTP/1.1 500 x\r\nX: \x1b[31m\x9b\xe2\x80\xae\r\n\r\n\x1b]0;x\7\r\r\n\x85\x0b"),
            "status",
        ),
    }


def _encodings() -> Iterator[tuple[str, tuple[Any, ...]]]:
    for encoding in ("gzip", "deflate", "br", "zstd"):
        whole = _packed(encoding)
        yield f"{encoding}, good", (_encoded(encoding, whole), None)
        yield f"{encoding}, cut", (_encoded(encoding, whole[: len(whole) // 2]), GONE, BAD)
        yield f"{encoding}, garbage", (_encoded(encoding, b"\xff plain text \0" * 100), BAD)
        yield f"{encoding}, a bomb", (bomb(encoding), None)
    yield "a bomb, expected to have text", (bomb("gzip"), "body_too_large", {"expect": {"body_regex": "x"}})
    yield "gzip twice", (_encoded("gzip, gzip", gzip.compress(_packed("gzip"))), None, BAD)
    yield "200 encodings", (_encoded(", ".join(["gzip"] * 200), _packed("gzip")), None, BAD)
    yield "an unknown encoding", (_encoded("x-\x7f", b"plain"), None)
    yield "50,000 empty members of gzip", (_encoded("gzip", gzip.compress(b"") * 50_000), BAD)


def _charsets() -> Rows:
    names = [
        "nonsense",
        "x" * 60_000,
        "utf-7",
        "idna",
        "hex",
        "zlib",
        "\x7f",
        "../../x",
        "utf-16",
        "undefined",
    ]
    return {
        f"{name[:10]!r}": (answer(ok(b"\xff\0abc" * 99, f"Content-Type: text/html; charset={name}")), None)
        for name in names
    }


def _chain(length: int) -> Script:
    """Lead the check from place to place."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        place = int(read_request(connection).split()[1].strip(b"/") or 0)
        connection.sendall(redirect(f"/{place + 1}") if place < length else ok(b"there"))

    return script


def _redirects() -> Iterator[tuple[str, tuple[Any, ...]]]:
    yield "10", (_chain(10), None)
    yield "11", (_chain(11), "too_many_redirects")
    yield "to itself", (_redirect(b"/"), "too_many_redirects")
    yield "by an empty address", (_redirect(b""), None, BAD, "too_many_redirects")
    unusable = [
        b"ftp://127.0.0.1/",
        b"javascript:alert(1)",
        b"http:///x",
        b"unix:///var/run/x",
        b"http://[::1/",
    ]
    unusable += [b"file:///etc/passwd", b"data:,x", b"http://127.0.0.1:99999/", b"mailto:a@b"]
    for place in unusable:
        yield f"to {place.decode()}", (_redirect(place), BAD)
    numbers = [b"127.0.0.2", b"127.2", b"0x7f000002", b"2130706434", b"0177.0.0.2", b"0.0.0.0", b"0"]
    numbers += [b"[::ffff:127.0.0.2]", b"[::ffff:7f00:2]", b"127.0.0.2.", b"user:word@127.0.0.2"]
    for number in numbers:
        yield (
            f"to {number.decode()}, denied",
            (_redirect(b"http://%s:9/" % number), "blocked_address", BAD, DENIED),
        )
    yield "to a host with a space", (_redirect(b"http://a b/"), BAD, "dns_not_found", "dns_error")
    yield "to 60 kB", (_redirect(b"/" + b"x" * 60_000), BAD)
    yield "with line ends", (_redirect(b"/%0d%0aX-Evil:%201"), "too_many_redirects")
    yield "with CR and NUL", (_redirect(b"/\rX: 1\0"), "too_many_redirects", BAD)
    yield "to a relative path up", (_redirect(b"../../../x?#"), "too_many_redirects")
    yield "to no UTF-8", (_redirect(b"/\xff\xfe"), "too_many_redirects")
    yield (
        "to a name of 300 labels",
        (_redirect(b"http://" + b"a." * 300 + b"test/"), BAD, "dns_not_found", "dns_error"),
    )
    yield (
        "with a body without end",
        (flood(redirect("/")[:-4] + b"\r\n\r\n", b"x" * 65_536), "too_many_redirects"),
    )


def _expectations() -> Rows:
    expression = {"expect": {"json": ["ok == `true`"]}}
    regular = {"expect": {"body_regex": "(a+)+$", "body_not_regex": "(x+x+)+y"}}
    bodies: dict[str, tuple[bytes, dict[str, Any], tuple[str | None, ...]]] = {
        "JSON nested 100,000 deep": (b"[" * 100_000 + b"]" * 100_000, expression, ("json",)),
        "JSON objects nested 900 deep": (b'{"a":' * 900 + b"1" + b"}" * 900, expression, ("json",)),
        "JSON of 1 MB": (json.dumps({"ok": True, "x": ["y"] * 90_000}).encode(), expression, (None,)),
        "JSON of 500,000 values": (b"[" + b"1," * 499_999 + b"1]", expression, ("body_too_large",)),
        "JSON with a huge number": (
            b'{"ok": true, "n": ' + b"9" * 100_000 + b"}",
            expression,
            ("json", None),
        ),
        "JSON with 1e999": (b'{"ok": true, "n": 1e999, "m": NaN}', expression, ("json", None)),
        "JSON with half a surrogate": (b'{"ok": "\\ud800"}', expression, ("json",)),
        "JSON with a key 100,000 times": (
            b"{" + b'"ok": 1,' * 90_000 + b'"ok": true}',
            expression,
            ("json", None),
        ),
        "a regular expression on 1 MB": (b"a" * (MB - 1) + b"!", regular, ("body",)),
        "a regular expression on no UTF-8": (b"\xff\xc3" * 500_000, regular, ("body",)),
    }
    return {
        name: (answer(ok(body)), *expected, settings) for name, (body, settings, expected) in bodies.items()
    }


def _secrets() -> Rows:
    quoted = rb"%68" + SECRET[1:].encode()
    settings = {"bearer_token": SECRET, "headers": {"X-Api-Key": SECRET}}

    def row(make: Callable[[bytes], bytes], *expected: str | None) -> tuple[Any, ...]:
        return _echo(lambda request: make(_secret_in(request))), *expected, settings

    return {
        "in the body": row(lambda secret: ok(b"you sent " + secret), None),
        "in the body of an error": row(lambda secret: ok(b"<" + secret).replace(b"200", b"500"), "status"),
        "in a header": row(lambda secret: b"HTTP/1.1 500 x\r\nX: " + secret + b"\r\n" + END, "status"),
        "in the name of a header": row(
            lambda secret: b"HTTP/1.1 500 x\r\n" + secret + b": x\r\n" + END, "status"
        ),
        "in the reason phrase": row(lambda secret: b"HTTP/1.1 500 " + secret + b"\r\n" + END, "status"),
        "in no HTTP": row(lambda secret: secret + b"\r\n\r\n", BAD),
        "in a redirect": row(
            lambda secret: redirect(f"http://{secret.decode()}.invalid/"), "dns_not_found", "dns_error"
        ),
        "in the charset": row(lambda secret: ok(b"x", f"Content-Type: x; charset={secret.decode()}"), None),
        "percent-encoded": row(lambda secret: ok(quoted if secret else b""), None),
        "gzipped": row(lambda secret: ok(gzip.compress(secret), "Content-Encoding: gzip"), None),
        "10,000 times": row(lambda secret: ok(secret * 10_000), None),
        "the whole request": (_echo(ok), None, settings),
    }


def _proxies() -> Rows:
    through = {"proxy": SITE, "url": "https://127.0.0.2:9/", "timeout_s": QUICK_S}
    open_ = b"HTTP/1.1 200 OK\r\n\r\n"
    return {
        "refuses": (answer(b"HTTP/1.1 407 x\r\nContent-Length: 0\r\n\r\n"), "connect_error", through),
        "closes at once": (answer(), GONE, "connect_error", through),
        "garbage": (answer(bytes(range(256))), BAD, "connect_error", through),
        "1xx without end": (flood(b"", b"HTTP/1.1 103 x\r\n\r\n"), BAD, "connect_error", through),
        "a head without end": (flood(HEAD, b"X: y\r\n" * 10_000), BAD, "connect_error", through),
        "never answers": (hang, "connect_timeout", through),
        "plain text after it": (answer(open_ + ok(b"plain")), "tls_error", through),
        "zeros without end after it": (flood(open_, bytes(65_536)), "tls_error", through),
        "a body without end": (flood(HEAD + b"Content-Length: 9\r\n\r\n", b"x"), "tls_error", through),
    }


def cases() -> Iterator[Case]:
    """Return all of them; a row is the script, the reasons it may have, and settings of its monitor."""
    groups = {
        "head": _heads(),
        "status line": _status_lines(),
        "no HTTP": _no_http(),
        "body": _bodies(),
        "encoding": dict(_encodings()),
        "charset": _charsets(),
        "redirect": dict(_redirects()),
        "expectation": _expectations(),
        "secret": _secrets(),
        "proxy": _proxies(),
    }
    for group, rows in groups.items():
        for name, (script, *rest) in rows.items():
            settings = rest.pop() if isinstance(rest[-1], dict) else {}
            yield Case(group, name, script=script, expected=tuple(rest), settings=settings)
