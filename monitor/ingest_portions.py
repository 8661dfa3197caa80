"""How a batch is cut for the store: not too much at once, and two halves side by side. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from monitor.dead_letter import DeadLetter
from monitor.result import CheckResult, InvalidMessageError, decode

_APART = 200  # from so many on, two transactions are faster than one
PORTION_BYTES = 2 << 20  # decoded, and as the database's arguments, it takes several times as much


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """A consumed record, and the result in it."""

    record: Any
    result: CheckResult


def portions(records: Iterable[Any]) -> Iterator[list[Any]]:
    """Cut a batch where `PORTION_BYTES` are full, so that large bodies neither fill memory nor take long.

    What is done with one at once, its lines in the log too, is to stop the event loop for 50 ms at most.
    """
    portion, size = [], 0
    for record in records:
        portion.append(record)
        size += len(record.value or b"")
        if size >= PORTION_BYTES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def decode_all(records: Sequence[Any]) -> tuple[list[Decoded], list[DeadLetter]]:
    """Tell the results from what is none."""
    decoded, dead = [], []
    for record in records:
        try:
            decoded.append(Decoded(record, decode(record.value or b"")))
        except InvalidMessageError as error:
            dead.append(DeadLetter(record, str(error)))
    return decoded, dead


def in_halves(decoded: Sequence[Decoded]) -> Sequence[Sequence[Decoded]]:
    """Share many out in two: while the database takes one, the other is laid out. No monitor is in both."""
    if len(decoded) < _APART:
        return [decoded]
    halves: tuple[list[Decoded], list[Decoded]] = ([], [])
    for each in decoded:
        halves[hash(each.result.monitor) & 1].append(each)
    return [half for half in halves if half]
