"""The tables at the end of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from tests.chaos.account import Account
from tests.chaos.watched import Stall


@dataclass
class Recovery:
    """How long a fault was kept up, and how long until each monitor's next result was stored after it."""

    fault: str
    lasted_s: float
    recovered_s: float


def report(
    title: str, result: Account, accepted: int, recoveries: Sequence[Recovery], measured: Mapping[str, float]
) -> None:
    """Print what was done, and what became of the results."""
    table = Table(title=title)
    table.add_column("what")
    table.add_column("number", justify="right")
    for what, number in (
        ("requests answered", result.answered),
        ("results accepted", accepted),
        ("rows", result.rows),
        ("lost", len(result.lost)),
        ("in the last 100 ms before a SIGKILL", result.forgiven),
        ("deleted in Kafka before they were read", result.deleted),
        ("doubled", len(result.doubled)),
        ("out of order", result.disordered),
        ("wrongly down", len(result.wrongly_down)),
        ("largest gap in checking, s", round(result.largest_gap_s, 2)),
        *measured.items(),
    ):
        table.add_row(what, str(number))
    faults = Table("fault", "lasted, s", "recovered after, s")
    for each in recoveries:
        faults.add_row(each.fault, f"{each.lasted_s:.1f}", f"{each.recovered_s:.1f}")
    console = Console(width=100)
    console.print(faults)
    console.print(table)
    for what, examples in (("lost", result.lost), ("doubled", result.doubled), ("down", result.wrongly_down)):
        if examples:
            console.print(f"{what}, for example: {examples[:5]}")


def measures(stalls: Sequence[Stall]) -> dict[str, float]:
    """Say the worst that the event loop did, whose `stalls` are sorted."""
    return {
        "longest stall of the event loop, ms": round(max((s.lasted_s for s in stalls), default=0) * 1_000),
        "without the time in which it waited for a processor, ms": round(stalls[-1].own_s * 1_000)
        if stalls
        else 0,
    }
