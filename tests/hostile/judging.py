"""Whether the program stood it. Pure.

A healthy monitor's check may start as late as the latest one of the bare run, 100 ms, and the time for which
threads of the program and of this run were ready and waited for a processor (`run_delay` of the kernel)
together. So a busy machine excuses what it causes, and a quiet one excuses nothing. Besides, no turn of the
event loop may take more than 100 ms of its thread's own processor time, which other processes cannot change.
A case with late slots is tried again, up to twice: a slow disk or host may be the cause once.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from monitor.schedule import offset_s
from tests.hostile.cases import SECRET, Case

INTERVAL_S = 1.0  # of the healthy monitors; the slots are counted in it
MARGIN_S = 0.1
TURN_S = 0.1
MEMORY_MB = 300.0


class Row(NamedTuple):
    """A stored result; `ended_at` is when its check was over (Unix seconds)."""

    monitor: str
    number: int | None
    up: bool | None
    reason: str | None
    scheduled_at: float
    started_at: float
    ended_at: float
    has_secret: bool


@dataclass
class Seen:
    """What was seen in a window of time (Unix seconds)."""

    began_at: float
    ended_at: float
    healthy: Sequence[Row] = ()
    """Rows of the healthy monitors, of all the time."""
    hostile: Sequence[Row] = ()
    """Rows of the hostile one, of checks that were over in time."""
    starved_s: float = 0.0
    turn_s: float = 0.0
    """The most processor time that a turn of the loop took."""
    memory_mb: float = 0.0
    printed: str = ""
    lost: int = 0
    """Answers of the healthy site without a row."""
    doubled: int = 0
    trouble: list[str] = field(default_factory=list)
    """What else was wrong."""

    def allowed_s(self, bare_s: float) -> float:
        """Return how late a check may start."""
        return bare_s + MARGIN_S + self.starved_s


def lateness_s(seen: Seen, monitors: Iterable[str]) -> list[float]:
    """Return how late the check of each slot in the window started; `inf` where there was none."""
    started_at = {
        (row.monitor, _index(row.monitor, row.scheduled_at)): row.started_at for row in seen.healthy
    }
    return [
        started_at.get((name, second), math.inf) - offset_s(name, INTERVAL_S) - second
        for name in monitors
        for second in range(
            _index(name, seen.began_at + INTERVAL_S / 2), _index(name, seen.ended_at + INTERVAL_S / 2)
        )
    ]


def _index(name: str, at: float) -> int:
    """Return the number of the slot that is next to this time."""
    return round(at - offset_s(name, INTERVAL_S))


def late(lateness: Sequence[float], allowed_s: float, monitors: int) -> int:
    """Count the slots that were too late; a monitor may leave out one for each second that is allowed."""
    missing = lateness.count(math.inf)
    return sum(allowed_s < each < math.inf for each in lateness) + max(0, missing - monitors * int(allowed_s))


def verdict(case: Case, seen: Seen, late_slots: int) -> list[str]:
    """Return what was wrong."""
    text = seen.printed
    found = {
        f"{late_slots} slots late": late_slots > 0,
        f"a turn of {seen.turn_s:.2f} s": seen.turn_s > TURN_S,
        f"{seen.memory_mb:.0f} MB": seen.memory_mb > MEMORY_MB,
        f"{seen.lost} rows missing": seen.lost > 0,
        f"{seen.doubled} rows doubled": seen.doubled > 0,
        "a traceback": "Traceback" in text,
        "a secret in the log": SECRET in text,
        "a secret in a row": any(row.has_secret for row in seen.hostile),
        f"the log has {unprintable(text)}": bool(unprintable(text)),
    }
    return [
        *seen.trouble,
        *(what for what, is_so in found.items() if is_so),
        *_unexpected(case, seen.hostile),
    ]


def _unexpected(case: Case, rows: Sequence[Row]) -> list[str]:
    if not case.has_results:
        return []
    if not rows:
        return ["no result"]
    wrong = [row for row in rows if row.reason not in case.expected or row.up is not (row.reason is None)]
    return [f"not {' or '.join(map(str, case.expected))}"] if wrong else []


def unprintable(text: str) -> str:
    """Return the first characters that no line of the log may have, as Python writes them."""
    found = sorted({each for each in text if each != "\n" and not each.isprintable()})
    return " ".join(map(repr, found[:3]))


def reasons(rows: Iterable[Row]) -> str:
    """Return the reasons in words: `up` where there is none."""
    return ", ".join(sorted({row.reason or "up" for row in rows})) or "-"
