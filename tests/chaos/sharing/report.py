"""The tables at the end of a run, and whether it kept what is promised."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from rich.console import Console
from rich.table import Table

from tests.chaos.sharing.account import Counts


@dataclass
class Outcome:
    """What a run found."""

    counts: Sequence[Counts]
    between: int
    """Checks under an instant of their own."""
    doubled_rows: Sequence[object]
    wrong_incidents: Sequence[str]
    tracebacks: int = 0

    @property
    def broken(self) -> list[str]:
        """Return which promises were not kept."""
        every = {
            "slots that nobody asked for": chain.from_iterable(each.missing for each in self.counts),
            "slots without a row": chain.from_iterable(each.without_row for each in self.counts),
            "checks that are not at a slot": range(self.between),
            "doubled rows": self.doubled_rows,
            "wrong incidents": self.wrong_incidents,
            "tracebacks": range(self.tracebacks),
        }
        found = {what: list(ones) for what, ones in every.items()}
        return [f"{what}: {len(ones)}, for example {ones[:3]}" for what, ones in found.items() if ones]


def report(title: str, outcome: Outcome, measured: Mapping[str, object]) -> None:
    """Print a line for each change, and the sums."""
    by_change = Table(
        "change",
        *("slots", "missing", "without row", "twice", "more", "latest, s", "taken over, s"),
    )
    for each in outcome.counts:
        numbers = (each.slots, *map(len, (each.missing, each.without_row, each.twice, each.more)))
        times = (f"{each.latest_s:.1f}", f"{each.taken_over_s:.1f}" if each.taken_over_s else "-")
        by_change.add_row(each.change.title, *map(str, numbers), *times)
    console = Console(width=110)
    console.print(by_change)
    table = Table("what", "number", title=title)
    for what, number in {**_sums(outcome), **measured}.items():
        table.add_row(what, str(number))
    console.print(table)
    for line in outcome.broken:
        console.print(f"broken: {line}")


def _sums(outcome: Outcome) -> dict[str, object]:
    def total(name: str, *, planned: bool | None = None) -> int:
        return sum(
            len(getattr(each, name))
            for each in outcome.counts
            if planned is None or each.change.planned is planned
        )

    return {
        "slots": sum(each.slots for each in outcome.counts),
        "missing": total("missing"),
        "without a row": total("without_row"),
        "asked twice, planned": total("twice", planned=True),
        "asked twice, unplanned": total("twice", planned=False),
        "asked three times or more": total("more"),
        "checks that are not at a slot": outcome.between,
        "latest start after its slot, s": round(max(each.latest_s for each in outcome.counts), 1),
        "seconds to take-over: median, 99 %, at most": _spread(
            [each.taken_over_s for each in outcome.counts]
        ),
        "rows doubled": len(outcome.doubled_rows),
        "incidents wrong": len(outcome.wrong_incidents),
    }


def _spread(seconds: Iterable[float]) -> str:
    known = sorted(each for each in seconds if each)
    if not known:
        return "-"
    return (
        ", ".join(f"{known[len(known) * hundredths // 100]:.1f}" for hundredths in (50, 99))
        + f", {known[-1]:.1f}"
    )
