"""The lines that the log has of incidents: one for each change, once it is stored."""

import logging
from collections.abc import Iterable

from monitor.incidents.model import NO_LONGER_CHECKED
from monitor.incidents.store import StoredChange
from monitor.runtime.text import duration, instant

_WORDS = {"partial": "down from some locations", "no_data": "without data"}

_log = logging.getLogger(__name__)


def log_changes(changes: Iterable[StoredChange]) -> None:
    """Log one line for each change of an incident."""
    for each in changes:
        about = each.incident, each.change, each.monitor, _WORDS.get(each.kind, each.kind)
        if each.change in {"resolved", "past"}:
            lasted = duration(each.at - each.started_at, whole=True) + _more(each)
            _log.info("incident %d %s: %s was %s for %s", *about, lasted)
        else:
            now = "now " if each.change == "changed" else ""
            _log.info("incident %d %s: %s %s: %s%s", *about, now, _why(each))


def _why(change: StoredChange) -> str:
    return change.detail or change.reason or "no reason is known"


def _more(ended: StoredChange) -> str:
    """Return what else there is to say of an incident that is over."""
    if ended.change == "past":
        return f" until {instant(ended.at)} UTC: {_why(ended)}"
    return f", {NO_LONGER_CHECKED}" if ended.detail == NO_LONGER_CHECKED else ""
