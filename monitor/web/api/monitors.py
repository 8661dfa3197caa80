"""The API's monitors: their state, one with its settings, and a check at once."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from monitor.alerts.store import Acknowledged, Silence
from monitor.config.model import Monitor
from monitor.domains.known import Domain, expiry_of
from monitor.result import OwnTroubleError
from monitor.runtime.process.event_loop import in_pieces
from monitor.runtime.text import DAY_S
from monitor.web.api.operations.operation import Operation, answer, csv_answer
from monitor.web.api.operations.parameters import LIMIT, NAME_CURSOR, choice, first_names, names_after, text
from monitor.web.api.operations.problems import ProblemError
from monitor.web.api.operations.tables import columns
from monitor.web.api.results import Result, result_of
from monitor.web.orders import Orders
from monitor.web.pages.base import Pages
from monitor.web.pages.content import states as views
from monitor.web.queries import Latest, StoredState
from monitor.web.settings import settings_of

_GRACE_S = 5.0  # to wait for its turn, while too many checks run


class MonitorState(msgspec.Struct, frozen=True):
    """How a monitor is. `since_at`, `reason` and `detail` are those of its open incident.

    A monitor that is flapping, but not down, has only a `detail`.
    """

    name: str
    url: str
    """Without user, password and secret query values."""
    group: str | None
    labels: dict[str, str]
    runbook: str | None
    interval_s: float
    status: views.MonitorStatus
    since_at: float | None
    reason: str | None
    detail: str | None
    last_at: float | None
    """The slot of the newest result."""
    response_time_s: float | None
    """Of the newest result, if it is less than a day old; the same is true of the next."""
    certificate_expires_at: float | None
    domain_expires_at: float | None
    """When the registration of its domain expires, if it has `min_domain_days` and that is known."""
    maintenance_until_at: float | None
    """Null when it is not in maintenance."""
    silence: Silence | None
    """The one in effect."""
    acknowledged: Acknowledged | None
    """Of its open incident; while it has several ones, only if all are acknowledged."""


class MonitorList(msgspec.Struct, frozen=True):
    """Monitors in the order of their names; `next` is the cursor of the next page, null on the last."""

    monitors: Sequence[MonitorState]
    next: str | None


class DomainState(msgspec.Struct, frozen=True):
    """What is known of the registration of a domain."""

    name: str
    expires_at: float | None
    asked_at: float | None
    """When its registry was asked last."""
    detail: str | None
    """Why the newest answer says nothing."""


class MonitorDetail(MonitorState, frozen=True, kw_only=True):
    """A monitor with its settings; secrets, values of headers and patterns are masked."""

    domain: DomainState | None
    """Only with `min_domain_days`."""

    settings: dict[str, Any]


_COLUMNS = (
    *columns(MonitorState, without=("silence", "acknowledged")),
    *("silence.until_at", "silence.who", "silence.why"),
    *("acknowledged.at", "acknowledged.who", "acknowledged.why"),
)


class ApiMonitors:
    """The monitors in the configuration."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def operations(self) -> list[Operation]:
        statuses = choice("status", "only those with this status", views.WORST_FIRST)
        words = text("q", "only those with all these words in their name, URL, group or labels")
        label = text("label", "only those with this label, as in `team=web`")
        group = text("group", "only those of this group")
        parameters = (words, statuses, label, group, LIMIT, NAME_CURSOR)
        return [
            Operation(
                "GET",
                "/monitors",
                "All monitors and their state",
                "In the order of their names. Filters add up. The state is that of the stored results, as "
                "on the overview.",
                self._list,
                MonitorList,
                parameters,
                _COLUMNS,
            ),
            Operation(
                "GET",
                "/monitors/{name}",
                "One monitor",
                "Its state, and its settings in the types of the configuration. Secrets, values of headers "
                "and patterns are `***`. 404: the configuration has no such monitor.",
                self._one,
                MonitorDetail,
            ),
            Operation(
                "POST",
                "/monitors/{name}/check",
                "Check a monitor at once, and store the result",
                "Answers when the check is over, with its result, which is stored like any other. 409: the "
                "monitor is paused. 503: the check could not be made, or still waits for its turn.",
                self._check,
                Result,
            ),
        ]

    async def _list(self, request: web.Request, asked: Mapping[str, Any]) -> web.Response:
        reader = self._pages.running.reader
        monitors, unknown = self._pages.monitors, self._pages.unknown
        stored = await reader.states(monitors)
        wanted = views.Filter(asked["q"], asked["status"] or "", asked["label"])
        names = [
            name
            async for name in in_pieces(names_after(monitors, asked["cursor"]))
            if asked["group"] in ("", monitors[name].group)
            and wanted.admits(views.known(unknown[name], stored.get(name)))
        ]
        page, onward = first_names(names, asked["limit"])
        latest = await reader.latest(page, time.time() - DAY_S)
        await self._pages.read_orders()
        now = time.time()
        states = [
            state_of(
                monitors[name],
                unknown[name],
                stored.get(name),
                latest.get(name),
                self._pages.orders.of(name, now),
                self._pages.domain_of(name),
            )
            async for name in in_pieces(page)
        ]
        if asked["format"] == "csv":
            return csv_answer(states, _COLUMNS, request, onward)
        return answer(MonitorList(states, onward), request, onward)

    async def _one(self, request: web.Request, _: Mapping[str, Any]) -> web.Response:
        monitor = self._pages.asked(request)
        reader, name = self._pages.running.reader, monitor.name
        unknown = self._pages.unknown[name]
        stored = (await reader.states([name])).get(name)
        latest = (await reader.latest([name], time.time() - DAY_S)).get(name)
        await self._pages.read_orders()
        orders = self._pages.orders.of(name, time.time())
        domain = self._pages.domain_of(name)
        state = msgspec.structs.asdict(state_of(monitor, unknown, stored, latest, orders, domain))
        return answer(
            MonitorDetail(**state, domain=_domain_state(domain), settings=settings_of(monitor)), request
        )

    async def _check(self, request: web.Request, _: Mapping[str, Any]) -> web.Response:
        monitor = self._pages.asked(request)
        if monitor.paused:
            raise ProblemError(409, "the monitor is paused")
        try:
            result = await self._pages.running.check_now(monitor.name, monitor.timeout_s + _GRACE_S)
        except TimeoutError:
            raise ProblemError(503, "the check waits for its turn; its result comes later") from None
        except (KeyError, OwnTroubleError):
            raise ProblemError(503, "the check could not be made") from None
        return answer(result_of(result), request)


def _domain_state(domain: Domain | None) -> DomainState | None:
    if domain is None:
        return None
    return DomainState(domain.name, domain.expiry(time.time()), domain.asked_at, domain.why)


def state_of(
    monitor: Monitor,
    unknown: views.ShownState,
    stored: StoredState | None,
    latest: Latest | None,
    orders: Orders,
    domain: Domain | None,
) -> MonitorState:
    """Return how a monitor is, as far as that is stored; `unknown` is what the configuration says of it."""
    return MonitorState(
        name=monitor.name,
        url=unknown.url,
        group=monitor.group,
        labels=monitor.labels,
        runbook=monitor.runbook,
        interval_s=monitor.interval_s,
        status=views.known(unknown, stored).status,
        since_at=stored and stored.since_at,
        reason=stored and stored.reason,
        detail=stored and stored.detail,
        last_at=stored and stored.last_at,
        response_time_s=latest and latest.response_time_s,
        certificate_expires_at=latest and latest.certificate_expires_at,
        domain_expires_at=expiry_of(domain, time.time()),
        maintenance_until_at=orders.maintenance_until_at,
        silence=orders.silence,
        acknowledged=orders.acknowledged,
    )
