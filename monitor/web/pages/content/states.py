"""Which monitors a page shows, in which order, and one line about all of them. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, NamedTuple

from monitor.config.model import Monitor
from monitor.result import CheckResult, why
from monitor.runtime.text import counted
from monitor.uptime.sums import status_of
from monitor.web.orders import NO_ORDERS, ORDER_NAMES, Orders
from monitor.web.queries import StoredState

MonitorStatus = Literal["up", "degraded", "partial", "down", "paused", "unknown"]

WORST_FIRST: tuple[MonitorStatus, ...] = ("down", "partial", "degraded", "unknown", "up", "paused")
PAGE_ROWS = 50
_MAX_NAMES = 5
_TROUBLES: tuple[tuple[MonitorStatus, str], ...] = (
    ("down", "down"),
    ("partial", "down from some locations"),
    ("degraded", "degraded"),
    ("unknown", "in an unknown state"),
)


class ShownState(NamedTuple):
    """How one monitor is now. `why` is empty when it is up; instants are Unix seconds."""

    name: str
    url: str
    group: str
    labels: Mapping[str, str]
    status: MonitorStatus
    since_at: float | None = None
    why: str = ""
    orders: Orders = NO_ORDERS
    seen_at: float | None = None
    """The slot of the result that this comes from."""

    @property
    def is_trouble(self) -> bool:
        return any(self.status == status for status, _ in _TROUBLES)

    @property
    def is_handled(self) -> bool:
        """Whether people know of its trouble, or planned it: nobody has to look at it now."""
        return self.is_trouble and bool(self.orders.names)

    @property
    def needs_somebody(self) -> bool:
        """Whether it has trouble that nobody takes care of; before its first result nothing is known."""
        return self.is_trouble and not self.is_handled and (self.status, self.since_at) != ("unknown", None)

    @property
    def rank(self) -> tuple[int, int]:
        """Its place among all: trouble, then trouble that is handled, then the rest."""
        return 1 if self.is_handled else 0 if self.is_trouble else 2, WORST_FIRST.index(self.status)


class Filter(NamedTuple):
    """What a reader wants to see; an empty field admits everything."""

    text: str = ""
    state: str = ""
    label: str = ""

    def admits(self, state: ShownState) -> bool:
        """Return whether this one is wanted: each word of the text must be in it, upper or lower case."""
        labels = labels_of(state)
        searched = "\n".join((state.name, state.url, state.group, *labels)).lower()
        return (
            self.state in ("", state.status, *state.orders.names)
            and (not self.label or self.label in labels)
            and all(word in searched for word in self.text.lower().split())
        )


@dataclass(frozen=True, slots=True)
class PageOfMonitors:
    """The monitors of one page, in groups; that of all troubles is `None`."""

    groups: list[tuple[str | None, list[ShownState]]]
    number: int
    count: int
    """The number of wanted monitors on all pages."""
    pages: int


class Banner(NamedTuple):
    """The state of all monitors, in one line."""

    status: MonitorStatus | Literal["maintenance"]
    text: str
    since_at: float | None


def unknown(monitor: Monitor) -> ShownState:
    """Return what the configuration says of a monitor, before anything that is stored."""
    return ShownState(
        monitor.name,
        monitor.public_url,
        monitor.group or "",
        monitor.labels,
        "paused" if monitor.paused else "unknown",
        why="" if monitor.paused else "no result yet",
    )


def known(unknown: ShownState, stored: StoredState | None) -> ShownState:
    """Add what is stored. A paused monitor stays paused, whatever its last result was."""
    if stored is None or unknown.status == "paused":
        return unknown
    return unknown._replace(
        status=stored.status,
        since_at=stored.since_at,
        why=why(stored.reason, stored.detail),
        seen_at=stored.last_at,
    )


def seen(last: ShownState, result: CheckResult | None) -> ShownState:
    """Return how a monitor is as far as this process knows: from what was read last, or its newest result."""
    if result is None or last.status == "paused" or result.scheduled_at < (last.seen_at or 0.0):
        return last
    status = status_of(up=result.up, degraded=result.degraded)
    return last._replace(
        status=status,
        since_at=last.since_at if status == last.status else None,
        why=why(result.reason, result.detail),
        seen_at=result.scheduled_at,
    )


def labels_of(state: ShownState) -> list[str]:
    """Return the labels as a reader types them: `team=web`."""
    return [f"{name}={value}" for name, value in state.labels.items()]


def page_of(states: Iterable[ShownState], wanted: Filter, number: int) -> PageOfMonitors:
    """Return page `number`, from 1 on. Troubles that need somebody come first, whatever their groups.

    Then come the groups, the worst first, and in each the worst monitors. A number that is too high is the
    last page.
    """
    chosen = [state for state in states if wanted.admits(state)]
    worst: dict[str, tuple[int, int]] = {}
    for state in chosen:
        if not state.needs_somebody:
            worst[state.group] = min(state.rank, worst.get(state.group, state.rank))
    chosen.sort(key=lambda each: (*_place(each, worst), each.rank, each.name))
    pages = max(1, -(-len(chosen) // PAGE_ROWS))
    number = min(max(1, number), pages)
    shown = chosen[(number - 1) * PAGE_ROWS : number * PAGE_ROWS]
    groups = [(group, list(each)) for group, each in groupby(shown, key=_section)]
    return PageOfMonitors(groups, number, len(chosen), pages)


def _section(state: ShownState) -> str | None:
    return None if state.needs_somebody else state.group


def _place(
    state: ShownState, worst: Mapping[str, tuple[int, int]]
) -> tuple[bool, tuple[int, int], bool, str]:
    """Return the place of the section of this one; `worst` is the least rank in each group."""
    group = _section(state)
    return (False, (0, 0), False, "") if group is None else (True, worst[group], group == "", group)


def banner_of(states: Sequence[ShownState], noun: str = "monitor") -> Banner:
    """Return the worst status, with the monitors that have it, and since when the first of them has.

    Trouble that is handled does not count. The `noun` is what readers call a monitor.
    """
    watched = [state for state in states if state.status != "paused"]
    if not watched:
        return Banner("unknown", "Nothing is monitored", None)
    for status, word in _TROUBLES:
        troubled = [state for state in watched if state.status == status and not state.is_handled]
        if troubled:
            since = min((each.since_at for each in troubled if each.since_at is not None), default=None)
            return Banner(status, _troubled(troubled, watched, noun, word), since)
    if any(state.is_handled for state in watched):
        return Banner("maintenance", _handled(watched, noun), None)
    every = f"The {noun} is up" if len(watched) == 1 else f"All {counted(len(watched), noun)} are up"
    return Banner("up", every, None)


def _troubled(troubled: Sequence[ShownState], watched: Sequence[ShownState], noun: str, word: str) -> str:
    """Return who has trouble; names only say something when it is not everybody."""
    if len(watched) == 1:
        return f"{watched[0].name} is {word}"
    if len(troubled) == len(watched):
        return f"All {counted(len(watched), noun)} are {word}"
    verb = "is" if len(troubled) == 1 else "are"
    return f"{len(troubled)} of {counted(len(watched), noun)} {verb} {word}: {_names(troubled)}"


def _handled(watched: Sequence[ShownState], noun: str) -> str:
    """Return how many are up, and what is ordered about the others; each of them counts once."""
    orders = Counter(state.orders.names[0] for state in watched if state.is_handled)
    up = len(watched) - orders.total()
    parts = [f"{up} of {counted(len(watched), noun)} {'is' if up == 1 else 'are'} up"]
    for name in ORDER_NAMES:
        if orders[name]:
            word = "in maintenance" if name == "maintenance" else name
            parts.append(f"{orders[name]} {'is' if orders[name] == 1 else 'are'} {word}")
    return ", ".join(parts)


def _names(states: Sequence[ShownState]) -> str:
    names = sorted(each.name for each in states)
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
