"""Compares what the site saw with what PostgreSQL holds. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tests.chaos.site import Outage

# What a SIGKILL may take along: checks that ended in the last 100 ms, and answers that were not read yet.
FORGIVEN_S = 0.15


@dataclass(frozen=True)
class Row:
    """A stored result, in the order of `id`."""

    monitor: str
    number: int | None
    up: bool
    reason: str | None
    slot: float = 0.0


@dataclass
class Account:
    answered: int = 0
    rows: int = 0
    lost: list[tuple[str, int]] = field(default_factory=list)
    forgiven: int = 0
    deleted: int = 0
    doubled: list[tuple[str, int]] = field(default_factory=list)
    disordered: int = 0
    wrongly_judged: list[tuple[str, str | None]] = field(default_factory=list)
    largest_gap_s: float = 0.0

    @property
    def holds(self) -> bool:
        return not (self.lost or self.doubled or self.wrongly_judged)


def account(
    answered: Mapping[str, Sequence[float]],
    rows: Iterable[Row],
    kills: Sequence[tuple[float, float]],
    deleted: Sequence[tuple[float, float]] = (),
    outages: Mapping[str, Sequence[Outage]] | None = None,
) -> Account:
    """Hold each answered request against the rows.

    `kills` are the spans before SIGKILLs of the program in which it had only `FORGIVEN_S` for itself;
    `deleted` those of answers that Kafka may have acknowledged and deleted again, unread; `outages` those
    that were 500.
    """
    result = Account()
    seen = _seen(rows, result, outages or {})
    for monitor, times in answered.items():
        result.answered += len(times)
        result.largest_gap_s = max([result.largest_gap_s, *(b - a for a, b in pairwise(times))])
        for number, at in enumerate(times, 1):
            count = seen[monitor][number]
            if count > 1:
                result.doubled.append((monitor, number))
            elif count == 0 and _within(at, kills):
                result.forgiven += 1
            elif count == 0 and _within(at, deleted):
                result.deleted += 1
            elif count == 0:
                result.lost.append((monitor, number))
    return result


def _seen(
    rows: Iterable[Row], result: Account, outages: Mapping[str, Sequence[Outage]]
) -> defaultdict[str, Counter[int]]:
    """Count how often each answer is stored; note what the rows say by themselves."""
    seen: defaultdict[str, Counter[int]] = defaultdict(Counter)
    last: dict[str, int] = {}
    for row in rows:
        result.rows += 1
        if row.up is _failed(row.number, outages.get(row.monitor, ())):
            result.wrongly_judged.append((row.monitor, row.reason))
        if row.number is not None:
            seen[row.monitor][row.number] += 1
            result.disordered += row.number < last.get(row.monitor, 0)
            last[row.monitor] = row.number
    return seen


def _failed(number: int | None, outages: Sequence[Outage]) -> bool:
    return number is not None and any(first <= number < first + checks for first, checks in outages)


def _within(at: float, spans: Sequence[tuple[float, float]]) -> bool:
    return any(first <= at <= last for first, last in spans)
