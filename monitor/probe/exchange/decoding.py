"""A body from the form in which it was sent (Content-Encoding), in parts of a bounded size.

However much a site has packed into a few bytes, it is unpacked no further than it is read.
"""

import sys
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Protocol

import brotli

_zstd: Any = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")

ACCEPTED = "gzip, deflate, br, zstd"
PART_BYTES = 65_536
MAX_MEMBERS = 1_000  # of gzip, or frames of zstd; to begin that many takes 20 ms

_FED_BYTES = 4_096  # at once: what follows the end of a member is copied
_GZIP_WBITS = 16 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"
_ZLIB_METHOD = 8  # in the low bits of a zlib stream's first byte
_ZSTD_WINDOW = {_zstd.DecompressionParameter.window_log_max: 23}  # 8 MiB, as RFC 9659 demands


class NotEncodedError(Exception):
    """The body is not encoded as its headers say."""


class Decoding(Protocol):
    """Decodes one body."""

    @property
    def is_complete(self) -> bool:
        """Whether the body may end here."""

    def parts(self, encoded: bytes) -> Iterator[bytes]:
        """Decode what follows, in parts of about `PART_BYTES`.

        Raises:
            NotEncodedError: it cannot be decoded.

        """


def decoding(content_encoding: str) -> Decoding:
    """Return the decoding for the value of a header; other values than `ACCEPTED` change nothing."""
    if not content_encoding:
        return _IDENTITY
    match content_encoding.strip().lower():
        case "gzip" | "x-gzip":
            return _Zlib(_GZIP_WBITS)
        case "deflate":
            return _Zlib(None)
        case "br":
            return _Brotli()
        case "zstd":
            return _Zstd()
    return _IDENTITY


class _Identity:
    is_complete = True

    def parts(self, encoded: bytes) -> Iterator[bytes]:
        yield encoded


_IDENTITY = _Identity()


def _few_members() -> Iterator[int]:
    """Count the members of a body.

    Raises:
        NotEncodedError: there are too many.

    """
    yield from range(MAX_MEMBERS)
    raise NotEncodedError


class _Members(ABC):
    """A body of one member after the other; zstd calls them frames."""

    _error: type[Exception]

    def __init__(self) -> None:
        self._count = _few_members()
        self._member: Any = None

    @property
    def is_complete(self) -> bool:
        return self._member is None or self._member.eof

    def parts(self, encoded: bytes) -> Iterator[bytes]:
        try:
            for start in range(0, len(encoded), _FED_BYTES):
                yield from self._parts(encoded[start : start + _FED_BYTES])
        except self._error as error:
            raise NotEncodedError from error

    @abstractmethod
    def _parts(self, encoded: bytes) -> Iterator[bytes]: ...


class _Zlib(_Members):
    """Members of gzip, or a deflated body with or without the header of zlib."""

    _error = zlib.error

    def __init__(self, wbits: int | None) -> None:
        super().__init__()
        self._wbits = wbits

    def _parts(self, encoded: bytes) -> Iterator[bytes]:
        while encoded and self._begin_member(encoded):
            part = b"."
            while part:
                part = self._member.decompress(encoded, PART_BYTES)
                encoded = self._member.unconsumed_tail
                if part:
                    yield part
            encoded = self._member.unused_data

    def _begin_member(self, encoded: bytes) -> bool:
        """Return whether there is a member to go on with; as for browsers, the rest is nothing."""
        if self._member is None:
            if self._wbits is None:
                self._wbits = zlib.MAX_WBITS if encoded[0] & 0xF == _ZLIB_METHOD else -zlib.MAX_WBITS
        elif not self._member.eof:
            return True
        elif self._wbits != _GZIP_WBITS or not _GZIP_MAGIC.startswith(encoded[:2]):
            return False
        next(self._count)
        self._member = zlib.decompressobj(self._wbits or 0)
        return True


class _Brotli:
    def __init__(self) -> None:
        self._stream = brotli.Decompressor()
        self._is_empty = True

    @property
    def is_complete(self) -> bool:
        return self._is_empty or self._stream.is_finished()

    def parts(self, encoded: bytes) -> Iterator[bytes]:
        self._is_empty = False
        try:
            while not self._stream.is_finished() and (
                part := self._stream.process(encoded, output_buffer_limit=PART_BYTES)
            ):
                encoded = b""
                yield part
        except brotli.error as error:
            raise NotEncodedError from error


class _Zstd(_Members):
    _error = _zstd.ZstdError

    def _parts(self, encoded: bytes) -> Iterator[bytes]:
        while encoded:
            if self.is_complete:
                next(self._count)
                self._member = _zstd.ZstdDecompressor(options=_ZSTD_WINDOW)
            yield from self._of_frame(self._member, encoded)
            encoded = self._member.unused_data if self._member.eof else b""

    def _of_frame(self, frame: Any, encoded: bytes) -> Iterator[bytes]:
        goes_on = True
        while goes_on:
            if part := frame.decompress(encoded, PART_BYTES):
                yield part
            encoded = b""
            goes_on = not (frame.eof or frame.needs_input)
