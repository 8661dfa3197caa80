"""What a body is made of, however it was encoded, cut into parts, or damaged."""

import gzip
import os
import sys
import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.probe.exchange.decoding import ACCEPTED, MAX_MEMBERS, PART_BYTES, NotEncodedError, decoding
from monitor.result import Reason
from tests.sites import Check, Serve, answer, ok, read_request

zstd: Any = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
MB = 1024 * 1024
LARGE = os.urandom(100_000) + bytes(2 * MB)


def deflated(body: bytes) -> bytes:
    """Return a deflated body without the header of zlib, as some servers send it."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


def packed(body: bytes) -> bytes:
    return bytes(brotli.compress(body, quality=4))


ENCODINGS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("X-GZIP", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", deflated),
    ("br", packed),
    ("zstd", zstd.compress),
]
each_encoding = pytest.mark.parametrize(("name", "encode"), ENCODINGS)


def decoded(name: str, encoded: bytes, step: int = MB) -> tuple[bytes, bool]:
    """Return what comes out of the bytes, fed so many at once, and whether they may be all."""
    encoding = decoding(name)
    body = b"".join(
        part for at in range(0, len(encoded), step) for part in encoding.parts(encoded[at : at + step])
    )
    return body, encoding.is_complete


@each_encoding
@settings(max_examples=30, deadline=None)
@given(body=st.binary(max_size=300), times=st.sampled_from([1, 1_000]), step=st.sampled_from([1, 7, 4_096]))
def test_a_body_is_decoded_however_it_is_cut(
    name: str, encode: Callable[[bytes], bytes], body: bytes, times: int, step: int
) -> None:
    assert decoded(name, encode(times * body), step) == (times * body, True)


@each_encoding
def test_no_part_is_large(name: str, encode: Callable[[bytes], bytes]) -> None:
    parts = list(decoding(name).parts(encode(LARGE)))

    assert b"".join(parts) == LARGE
    assert max(map(len, parts)) <= 2 * PART_BYTES


@each_encoding
def test_a_body_that_ends_in_the_middle_is_not_complete(name: str, encode: Callable[[bytes], bytes]) -> None:
    encoded = encode(LARGE)

    assert not decoded(name, encoded[: len(encoded) // 2])[1]
    assert not decoded(name, encoded[:-1])[1]


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd", "", "identity", "gzip, br", "other"])
def test_no_body_is_complete(name: str) -> None:
    assert decoded(name, b"") == (b"", True)


@pytest.mark.parametrize("name", ["", "identity", "gzip, br", "other"])
def test_what_is_not_known_stays_as_it_is(name: str) -> None:
    assert decoded(name, b"hello") == (b"hello", True)


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_what_is_not_encoded_is_refused(name: str) -> None:
    with pytest.raises(NotEncodedError):
        decoded(name, b"\xff hello")


@pytest.mark.parametrize(("name", "encode"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
@pytest.mark.parametrize("step", [1, 1_000])
def test_members_follow_each_other(name: str, encode: Callable[[bytes], bytes], step: int) -> None:
    assert decoded(name, 600 * encode(b"ab"), step) == (600 * b"ab", True)


@pytest.mark.parametrize(("name", "encode"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
def test_members_are_few(name: str, encode: Callable[[bytes], bytes]) -> None:
    assert decoded(name, MAX_MEMBERS * encode(b"a")) == (MAX_MEMBERS * b"a", True)

    with pytest.raises(NotEncodedError):
        decoded(name, MAX_MEMBERS * encode(b"") + encode(b"a"))


@pytest.mark.parametrize(("name", "encode"), ENCODINGS[:4])
@pytest.mark.parametrize("step", [1, 1_000])
def test_what_follows_the_end_is_left_alone(name: str, encode: Callable[[bytes], bytes], step: int) -> None:
    assert decoded(name, encode(b"ab") + b"\0 and more", step) == (b"ab", True)


def test_what_follows_brotli_in_its_own_packet_is_left_alone() -> None:
    encoding = decoding("br")

    assert [*encoding.parts(packed(b"ab")), *encoding.parts(b"and more")] == [b"ab"]


def test_a_window_that_no_browser_accepts_is_refused() -> None:
    options = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.content_size_flag: 0}
    packer = zstd.ZstdCompressor(options=options)
    encoded = packer.compress(LARGE) + packer.flush()

    with pytest.raises(NotEncodedError):
        decoded("zstd", encoded)


@each_encoding
async def test_a_check_decodes_what_it_asks_for(
    name: str, encode: Callable[[bytes], bytes], serve: Serve, check: Check
) -> None:
    requests: list[bytes] = []

    def script(connection: object, _: object) -> None:
        requests.append(read_request(connection))  # type: ignore[arg-type]
        connection.sendall(ok(encode(b"hello"), f"Content-Encoding: {name}"))  # type: ignore[attr-defined]

    result = await check(serve(script))

    assert (result.up, result.response_data) == (True, "hello")
    assert b"Accept-Encoding: %s\r\n" % ACCEPTED.encode() in requests[0]


@each_encoding
async def test_half_a_body_is_none(
    name: str, encode: Callable[[bytes], bytes], serve: Serve, check: Check
) -> None:
    half = encode(LARGE)[:50_000]

    result = await check(serve(answer(ok(half, f"Content-Encoding: {name}"))))

    assert (result.reason, result.detail) == (Reason.DISCONNECTED, "the encoded body ends in the middle")


@each_encoding
async def test_a_body_is_cut_where_it_is_said(
    name: str, encode: Callable[[bytes], bytes], serve: Serve, check: Check
) -> None:
    url = serve(answer(ok(encode(LARGE)[:-1], f"Content-Encoding: {name}")))

    result = await check(url, max_body_bytes=50_000)

    assert (result.up, result.body_bytes, result.body_truncated) == (True, 50_000, True)
