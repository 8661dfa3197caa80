"""The uptime of each monitor in a time range, as rows for people and programs. Pure."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import timedelta

from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.runtime.text import HOUR_S, percent, printable
from monitor.uptime.accounts import Account
from monitor.uptime.sums import BUCKETS, percentile, shares

FORMATS = ("table", "csv", "json")
_TITLES = (
    *("monitor", "uptime", "incidents", "outage", "longest", "MTTR"),
    *("p50", "p95", "p99", "checks", "no data", "maintenance"),
)
_WIDEST = 10_000


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One monitor; `None` is unknown. An outage counts as far as it lies within the time range."""

    monitor: str
    uptime: float | None
    """Share of the known time outside of maintenance; the mean over all locations."""
    incidents: int
    outage_s: float
    longest_outage_s: float
    mttr_s: float | None
    """Mean time to resolve, of resolved incidents, with what lies outside of the time range."""
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    checks: int
    no_data: float
    """Share of the time range."""
    maintenance: float
    """Share of the time range."""


def full_hours(since: float, until: float, now: float) -> tuple[float, float]:
    """Return start and end of the full hours that the time range touches, up to `now`."""
    return since // HOUR_S * HOUR_S, min(-(-until // HOUR_S) * HOUR_S, now)


def rows(
    accounts: Mapping[str, Account], names: Iterable[str], since: float, until: float
) -> list[ReportRow]:
    """Return a row for each monitor that is named or has an account, by their names."""
    return [
        _row(name, accounts.get(name, Account([], [])), since, until) for name in sorted({*names, *accounts})
    ]


def _row(name: str, account: Account, since: float, until: float) -> ReportRow:
    share = shares(account.sums, until - since)
    times = [sum(sums.response_times[index] for sums in account.sums) for index in range(BUCKETS)]
    inside = [
        min(until, until if outage.ended_at is None else outage.ended_at) - max(since, outage.started_at)
        for outage in account.outages
    ]
    resolved = [
        outage.ended_at - outage.started_at for outage in account.outages if outage.ended_at is not None
    ]
    return ReportRow(
        monitor=printable(name),  # who may write to the topic may have sent any
        uptime=share.uptime,
        incidents=len(inside),
        outage_s=sum(inside),
        longest_outage_s=max(inside, default=0),
        mttr_s=sum(resolved) / len(resolved) if resolved else None,
        p50_s=percentile(times, 0.5),
        p95_s=percentile(times, 0.95),
        p99_s=percentile(times, 0.99),
        checks=sum(sums.checks for sums in account.sums),
        no_data=share.unknown,
        maintenance=share.maintenance,
    )


def written(rows: Sequence[ReportRow], form: str) -> str:
    """Return the rows as `csv`, `json`, or a `table` for a terminal."""
    if form == "json":
        return json.dumps([asdict(row) for row in rows], indent=2, ensure_ascii=False) + "\n"
    return _csv(rows) if form == "csv" else _table(rows)


def _csv(rows: Iterable[ReportRow]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(ReportRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()


def _table(rows: Iterable[ReportRow]) -> str:
    table = Table(*_TITLES)
    for row in rows:
        table.add_row(
            Text(row.monitor),
            percent(row.uptime, 3),
            str(row.incidents),
            *(_duration(length_s) for length_s in (row.outage_s, row.longest_outage_s, row.mttr_s)),
            *(_seconds(time_s) for time_s in (row.p50_s, row.p95_s, row.p99_s)),
            str(row.checks),
            percent(row.no_data, 3),
            percent(row.maintenance, 3),
        )
    console = Console()
    whole = console.measure(table, options=console.options.update(max_width=_WIDEST)).maximum
    console.width = max(console.width, whole)  # no value is cut, however narrow the terminal
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def _duration(length_s: float | None) -> str:
    return "-" if length_s is None else str(timedelta(seconds=round(length_s)))


def _seconds(time_s: float | None) -> str:
    return "-" if time_s is None else f"{time_s:.3f} s"
