"""Results as a table for a terminal."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.result import CheckResult

_STANDING = {True: Text("up", "green"), False: Text("down", "red"), None: Text("unknown", "yellow")}


def print_table(results: Iterable[CheckResult]) -> None:
    """Print one row for each result: whether the monitor is up, the code, the time, the reason."""
    table = Table("monitor", "up", "code", "time", "reason")
    for result in sorted(results, key=lambda each: each.monitor):
        table.add_row(
            Text(result.monitor),
            _STANDING[result.up],
            str(result.response_status or "-"),
            f"{result.response_time:.3f} s",
            Text(f"{result.reason}: {result.detail}" if result.reason else ""),
        )
    Console().print(table)
