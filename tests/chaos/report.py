"""The tables at the end of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from tests.chaos.account import Account
from tests.chaos.incidents import Comparison
from tests.chaos.steps import Step
from tests.chaos.watched import Stall


@dataclass
class Recovery:
    """How long a fault was kept up, and how long until each monitor's next result was stored after it."""

    fault: str
    lasted_s: float
    recovered_s: float


def report(
    title: str,
    result: Account,
    compared: Comparison,
    accepted: int,
    recoveries: Sequence[Recovery],
    measured: Mapping[str, float],
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
        ("wrongly down, or up", len(result.wrongly_judged)),
        ("outages of the site, each to be one incident", compared.outages),
        ("incidents that are false, missing, double or have wrong times", len(compared.wrong)),
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
    for what, examples in (
        ("lost", result.lost),
        ("doubled", result.doubled),
        ("wrongly down, or up", result.wrongly_judged),
        ("incidents", compared.wrong),
    ):
        if examples:
            console.print(f"{what}, for example: {examples[:5]}")


def measures(stalls: Sequence[Stall], steps: Sequence[Step]) -> dict[str, float]:
    """Return the worst that the event loop did."""
    return {
        "longest stall of the event loop, ms": round(max((s.lasted_s for s in stalls), default=0) * 1_000),
        "without the time in which it waited for a processor, ms": round(
            max((s.own_s for s in stalls), default=0) * 1_000
        ),
        "longest step of one task, ms of a processor": round(
            max((s.cpu_s for s in steps), default=0) * 1_000
        ),
    }
