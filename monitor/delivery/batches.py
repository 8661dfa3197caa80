"""How a batch is cut, decoded and saved: not too much at once, and nothing good is lost with what is bad."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from monitor.delivery.dead_letters import DeadLetter
from monitor.result import CheckResult, InvalidMessageError, decode
from monitor.storage.database import RefusedError

PORTION_BYTES = 2 << 20  # decoded, and as the database's arguments, it takes several times as much


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """A consumed record, and the result in it."""

    record: Any
    result: CheckResult


def portions(records: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield a batch in portions of `PORTION_BYTES`, so that large bodies neither fill memory nor take long.

    The work for one portion, its log lines included, should stop the event loop for 50 ms at most.
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
    """Return the results, and the records that hold none, both in their order."""
    decoded, dead = [], []
    for record in records:
        try:
            decoded.append(Decoded(record, decode(record.value or b"")))
        except InvalidMessageError as error:
            dead.append(DeadLetter(record, str(error)))
    return decoded, dead


async def save_apart(
    save: Callable[[Sequence[CheckResult]], Awaitable[None]], decoded: Sequence[Decoded]
) -> list[DeadLetter]:
    """Save all that can be saved, halving what is refused; return what is refused alone."""
    try:
        await save([each.result for each in decoded])
    except RefusedError as error:
        if len(decoded) == 1:
            return [DeadLetter(decoded[0].record, str(error))]
        middle = len(decoded) // 2
        return await save_apart(save, decoded[:middle]) + await save_apart(save, decoded[middle:])
    return []
