"""The incidents that stored results make, in the order of their slots, and those that are stored. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from tests.chaos.account import Row
from tests.chaos.incidents import Incident
from tests.chaos.outages import FAILURES, SUCCESSES

_Span = tuple[float, float | None]


def wrong_incidents(rows: Iterable[Row], incidents: Iterable[Incident]) -> list[str]:
    """Return which incidents are not those that one process would have seen in the rows."""
    results: defaultdict[str, list[tuple[float, bool]]] = defaultdict(list)
    for row in rows:
        results[row.monitor].append((row.slot, row.up))
    found: defaultdict[str, list[_Span]] = defaultdict(list)
    wrong: list[str] = []
    for incident in incidents:
        if incident.kind == "down":
            found[incident.monitor].append((incident.started_at, incident.ended_at))
        else:
            wrong.append(f"false: {incident}")
    for monitor, ones in results.items():
        due = list(_outages(sorted(ones)))
        if sorted(found[monitor]) != due:
            wrong.append(f"{monitor}: down {found[monitor]}, should have been {due}")
    return wrong


def _outages(results: Iterable[tuple[float, bool]]) -> Iterator[_Span]:
    failed: list[float] = []
    passed: list[float] = []
    for slot, up in results:
        if len(failed) < FAILURES:
            failed = [] if up else [*failed, slot]
            continue
        passed = [*passed, slot] if up else []
        if len(passed) == SUCCESSES:
            yield failed[0], passed[0]
            failed, passed = [], []
    if len(failed) >= FAILURES:
        yield failed[0], None
