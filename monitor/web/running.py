"""The running program, as far as the web server shows it or asks something of it."""

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from monitor.alerts.store import AlertStore
from monitor.config.model import Monitor
from monitor.domains.known import Domains
from monitor.pipeline import Pipeline
from monitor.reload import Reload
from monitor.result import CheckResult
from monitor.runtime.progress import Availability, Watch
from monitor.schedule import Schedule
from monitor.sharing import Sharing
from monitor.web.metrics.program import Section, measurements
from monitor.web.processes import ProcessList, processes_of
from monitor.web.queries import PageReader

CheckNow: TypeAlias = Callable[[str, float], Awaitable[CheckResult]]
"""Checks the monitor of this name within so many seconds; raises what `Schedule.check_now` raises."""


@dataclass(frozen=True, slots=True)
class Running:
    """All that pages, API, metrics and probe need; it is complete when it is made."""

    reader: PageReader
    alerts: AlertStore
    check_now: CheckNow
    """The result is stored like those of all other checks."""
    probe: CheckNow
    """The result is only for the client that asks."""
    probe_target: Callable[[Monitor, float], Awaitable[CheckResult]]
    """The same, of what may be no monitor; raises what `Schedule.check_other` raises."""
    refresh: Callable[[], Awaitable[None]]
    """Reads what `measure` returns and what has to be waited for."""
    measure: Callable[[], list[Section]]
    missing: Callable[[], list[str]]
    """Returns why the program is not ready, a line for each reason."""
    domains: Domains = field(default_factory=Domains)
    """What is known of the registrations of domains."""
    postgresql: Availability = field(default_factory=partial(Availability, "PostgreSQL"))
    """Whether results can be stored."""
    sharing: Sharing | None = None
    """Which checks are this process's own, where processes share them."""

    @property
    def away(self) -> Availability | None:
        """What is known of the database while it is unavailable."""
        known = (self.postgresql, self.alerts.availability)
        return next((each for each in known if each.unavailable_since_at is not None), None)


class Program:
    """The program, from before it has started; `started` is set once."""

    def __init__(self) -> None:
        self.started: Running | None = None

    @property
    def running(self) -> Running:
        """The running program, for pages that the server answers only after the start."""
        assert self.started is not None  # noqa: S101 - before that, the middleware answers 503
        return self.started

    def missing(self) -> list[str]:
        """Return why the program is not ready, a line for each reason."""
        return ["the program is starting"] if self.started is None else self.started.missing()

    def measure(self) -> list[Section]:
        """Return the measurements; there are none before the start."""
        return [] if self.started is None else self.started.measure()

    def processes(self) -> ProcessList:
        """Return those that share the checks; before the start, none are known."""
        return processes_of(None if self.started is None else self.started.sharing)

    async def refresh(self) -> None:
        """Prepare `measure`."""
        if self.started is not None:
            await self.started.refresh()


def running_program(
    pipeline: Pipeline, schedule: Schedule, reload: Reload, sharing: Sharing | None = None
) -> Running:
    return Running(
        reader=PageReader(pipeline.store.database),
        alerts=pipeline.alerts,
        check_now=partial(schedule.check_now, recorded=True),
        probe=schedule.check_now,
        probe_target=partial(_probe_target, schedule, reload),
        refresh=pipeline.ingest.counts.look,
        measure=lambda: measurements(pipeline, schedule, reload, sharing),
        domains=pipeline.domains,
        postgresql=pipeline.ingest.availability,
        sharing=sharing,
        missing=lambda: [*_missing(pipeline.watch, pipeline.servers), *_unshared(sharing)],
    )


async def _probe_target(schedule: Schedule, reload: Reload, target: Monitor, within_s: float) -> CheckResult:
    ((_, checker),) = reload.checkers([target])
    return await schedule.check_other(target, checker, within_s)


def _unshared(sharing: Sharing | None) -> Iterator[str]:
    if sharing is not None and not sharing.is_known:
        yield "no checks are made yet: Kafka has not said which of them are made here"


def _missing(watch: Watch, servers: Iterable[Availability]) -> Iterator[str]:
    since: dict[str, float] = {}
    for server in servers:
        if (at := server.unavailable_since_at) is not None:
            since[server.name] = min(at, since.get(server.name, at))
    for name, at in since.items():
        yield f"{name} has been unavailable for {max(0.0, time.time() - at):.0f} s"
    for stage, waits_for, seconds in watch.stalled():
        yield f"{stage} has made no progress for {seconds:.0f} s, it waits for {waits_for}"
