"""Values that are unlikely to have been thought of, and bytes with a few mistakes in them."""

import random
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

ODD_TEXTS = (
    "",
    "\0",
    "a\0b",
    "\ud800",
    "\udfff\ud800",
    "\U0010ffff\ufffe\uffff",
    "\u202e\u2028\x85\x7f",
    "x" * 3_000,
    "\0" * 70_000,
    "\N{PILE OF POO}" * 20_000,
    "1.2.3.4/33",
    "1.2.3.4/8",
    "::1%eth0",
    "::ffff:1.2.3.4",
    "fe80::1%a%b",
    "%",
    "1.2.3",
    "::",
    "null",
    "Infinity",
    "infinity",
    "00000000-0000-0000-0000-000000000000",
    "{00000000-0000-0000-0000-000000000000}",
)

ODD_NUMBERS = (
    0,
    -0.0,
    -1,
    -1e-300,
    5e-324,
    1e-46,
    1e39,
    1.7e308,
    -1.7e308,
    2**15,
    2**31 - 1,
    2**31,
    2**53 + 1,
    2**63 - 1,
    2**63,
    10**400,
    -(10**30),
    4_102_444_799.999_999,
    4_102_444_800,
    253_402_300_799,
    253_402_300_800,
    9_224_318_015_999,
    9_224_318_016_000,
    8.64e15,
    float("nan"),
    float("inf"),
    float("-inf"),
)

texts = st.one_of(st.sampled_from(ODD_TEXTS), st.text(st.characters(exclude_categories=()), max_size=20))
numbers = st.one_of(st.sampled_from(ODD_NUMBERS), st.integers(), st.floats(), st.integers(-(2**70), 2**70))
scalars = st.one_of(st.none(), st.booleans(), texts, numbers)
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(texts.filter(lambda text: len(text) < 99), inner, max_size=3),
    ),
    max_leaves=6,
)


def _flip(source: random.Random, content: bytearray) -> None:
    content[source.randrange(len(content))] ^= 1 << source.randrange(8)


def _replace(source: random.Random, content: bytearray) -> None:
    content[source.randrange(len(content))] = source.choice(
        b"\0\t\n\r \"'\\,:;{}[]%0-9eE.+\x7f\x80\xc0\xed\xff"
    )


def _insert(source: random.Random, content: bytearray) -> None:
    place = source.randrange(len(content))
    content[place:place] = source.randbytes(source.randrange(1, 5))


def _delete(source: random.Random, content: bytearray) -> None:
    place = source.randrange(len(content))
    del content[place : place + source.randrange(1, 9)]


def _repeat(source: random.Random, content: bytearray) -> None:
    start = source.randrange(len(content))
    part = content[start : start + source.randrange(1, 60)]
    content[start:start] = part * source.choice((1, 1, 1, 3, 50))


def _cut(source: random.Random, content: bytearray) -> None:
    del content[source.randrange(len(content)) :]


_DAMAGES: tuple[Callable[[random.Random, bytearray], None], ...] = (
    _flip,
    _replace,
    _insert,
    _delete,
    _repeat,
    _cut,
)


def damage(content: bytes, source: random.Random) -> bytes:
    """Make up to four mistakes in it."""
    damaged = bytearray(content)
    for _ in range(source.randrange(1, 5)):
        if damaged:
            source.choice(_DAMAGES)(source, damaged)
    return bytes(damaged)
