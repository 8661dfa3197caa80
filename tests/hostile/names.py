"""DNS servers that answer what they like about the name of a site."""

import struct
from collections.abc import Iterator
from functools import partial

import dns.message
import dns.rcode

from tests.dns_server import DnsServer, Reply, Respond, no_response, responding_with
from tests.hostile.cases import PLACE, Case

NAME = "hostile.example"
_MAX = 65_535
_MANY = 5_000
_TRUNCATED = 0x0200
_ERRORS = ("dns_error", "dns_timeout")
_DENIED = {"deny_addresses": ["127.0.0.2"]}
_ADDRESS = b"\x7f\0\0\1"
_ALIAS = b"\xc0\x0c\0\5\0\1\0\0\0\1\0\2\xc0\x0c"  # the name that was asked for is an alias of itself


def _answering(records: bytes, count: int, *, flags: int = 0x8180, identity: int = 0) -> Respond:
    """Return what answers with these bytes, which are said to be so many records."""

    def respond(question: dns.message.Message) -> Reply:
        wire = question.to_wire()
        number = (question.id + identity) % (1 << 16)
        end = 12 + wire[12:].index(b"\0") + 5  # of the question
        head = struct.pack("!6H", number, flags, 1, min(count, _MAX), 0, 0)
        return (head + wire[12:end] + records)[:_MAX]

    return respond


def _record(name: bytes, kind: int, content: bytes) -> bytes:
    return name + struct.pack("!HHIH", kind, 1, 60, len(content)) + content


def _addresses(count: int, name: bytes = b"\xc0\x0c") -> Respond:
    return _answering(_record(name, 1, _ADDRESS) * count, count)


def _long_names() -> Respond:
    """Return an answer in which each of 4,000 names has 127 labels, most of them by reference."""
    first = _record(b"\1a" * 126 + b"\0", 1, _ADDRESS)
    place = 12 + len(NAME) + 2 + 4
    pointing = _record(struct.pack("!H", 0xC000 | place), 1, _ADDRESS)
    return _answering(first + pointing * 4_000, 4_001)


def _aliases(count: int) -> Respond:
    """Return an answer with a chain of aliases."""
    chain = [_record(b"\xc0\x0c", 5, b"\4n000\0")]
    chain += [_record(b"\4n%03x\0" % step, 5, b"\4n%03x\0" % (step + 1)) for step in range(count)]
    return _answering(b"".join(chain), count + 1)


def _server(respond: Respond, stream: Respond | None = None, copies: int = 1) -> DnsServer:
    server = DnsServer(respond)
    server.respond_on_stream = stream or server.respond_on_stream
    server.copies = copies
    return server


def _bytes(sent: bytes) -> Respond:
    return lambda _: sent


def _rows() -> dict[str, tuple[Respond, tuple[str | None, ...]]]:
    escapes = b"\x06\x1b[2J\r\n\0"
    return {
        "nothing": (no_response, ("dns_timeout",)),
        "an empty answer": (_bytes(b""), _ERRORS),
        "garbage": (_bytes(bytes(range(256)) * 200), _ERRORS),
        "zeros": (_bytes(bytes(60_000)), _ERRORS),
        "the question": (lambda question: question.to_wire(), _ERRORS),
        "the answer to another question": (_answering(b"", 0, identity=1), _ERRORS),
        "4,000 addresses of long names": (_long_names(), _ERRORS),
        "records that are not there": (_answering(b"", _MAX), _ERRORS),
        "an address of 3 bytes": (_answering(_record(b"\xc0\x0c", 1, b"\1\1\1"), 1), _ERRORS),
        "a name that refers to itself": (
            _answering(_record(b"\xc0\x21", 1, _ADDRESS), 1),
            (*_ERRORS, "dns_not_found"),
        ),
        "a name that refers beyond the end": (_answering(_record(b"\xff\xff", 1, _ADDRESS), 1), _ERRORS),
        "an alias of itself": (_answering(_ALIAS, 1), (*_ERRORS, "dns_not_found")),
        "an alias of escapes": (
            _answering(_record(b"\xc0\x0c", 5, escapes), 1),
            (*_ERRORS, "dns_not_found"),
        ),
        "200 aliases": (_aliases(200), (*_ERRORS, "dns_not_found")),
        "an error": (responding_with(code=dns.rcode.SERVFAIL), ("dns_error",)),
        "an error that is unknown": (_answering(b"", 0, flags=0x818F), ("dns_error",)),
        "no such name": (responding_with(code=dns.rcode.NXDOMAIN), ("dns_not_found",)),
        "no address": (responding_with(), ("dns_not_found",)),
        "a denied address": (responding_with("127.0.0.2"), ("blocked_address",)),
        "a denied address as IPv6": (responding_with("::ffff:127.0.0.2"), ("blocked_address",)),
    }


def _streams() -> dict[str, tuple[Respond, tuple[str | None, ...]]]:
    """Return what is answered over TCP, after an answer that was cut."""
    any_of = (*_ERRORS, "dns_not_found")
    return {
        "nothing": (no_response, _ERRORS),
        "an empty answer": (_bytes(b""), _ERRORS),
        "garbage": (_bytes(bytes(range(256)) * 255), _ERRORS),
        "another cut answer": (_answering(b"", 0, flags=0x8180 | _TRUNCATED), any_of),
        "4,000 addresses": (_addresses(4_000), any_of),
        "4,000 addresses of long names": (_long_names(), any_of),
        "3,000 aliases": (_aliases(3_000), any_of),
    }


def cases() -> Iterator[Case]:
    settings = {"resolver": PLACE, "url": f"http://{NAME}:9/", "timeout_s": 2, **_DENIED}
    cut = _answering(b"", 0, flags=0x8180 | _TRUNCATED)
    for name, (respond, expected) in _rows().items():
        yield Case("DNS", name, dns=partial(_server, respond), expected=expected, settings=settings)
    for name, (respond, expected) in _streams().items():
        start = partial(_server, cut, respond)
        yield Case("DNS", f"over TCP: {name}", dns=start, expected=expected, settings=settings)
    floods = {
        "answers to other questions": _answering(b"", 0, identity=1),
        "garbage": _bytes(b"\xff" * 60_000),
        "long names": _long_names(),
    }
    for name, respond in floods.items():
        start = partial(_server, respond, copies=_MANY)
        yield Case("DNS", f"{name}, {_MANY:,} times", dns=start, expected=_ERRORS, settings=settings)
