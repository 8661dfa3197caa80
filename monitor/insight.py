"""What can be seen of the running program from outside: wires the web server to what it shows."""

import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from functools import partial

from monitor.config import Config
from monitor.follow import Following
from monitor.loop_lag import LoopLag
from monitor.metrics import CheckMetrics
from monitor.outage import Availability
from monitor.pipeline import Pipeline
from monitor.pipeline_facts import facts
from monitor.progress import Watch
from monitor.readings import Readings
from monitor.schedule import Schedule
from monitor.web.access import Access
from monitor.web.health import HealthPages
from monitor.web.metrics import MetricsPage
from monitor.web.probe import ProbePage
from monitor.web.server import serving
from monitor.web.site import Site


class Insight:
    """Notes each result by `checks`; shows the rest of the program from when it is there."""

    def __init__(self, config: Config, lag: LoopLag) -> None:
        self.checks = CheckMetrics(config.location)
        self._readings = Readings(lag)
        self._health = HealthPages()
        self._probe = ProbePage()
        metrics = MetricsPage(self._readings.registry, self._readings.refresh, self.checks.parts)
        self.site = Site(config, self._health.look)
        self.access = Access(config, self.site.login_page)
        self.routes = [
            *metrics.routes(),
            *self._health.routes(),
            *self._probe.routes(),
            *self.site.routes(),
        ]
        self.checks.follow(config.monitors)
        self._probe.follow(config.monitors)

    def follow(self, config: Config) -> None:
        """Show what this says, and no more."""
        self.checks.follow(config.monitors)
        self._probe.follow(config.monitors)
        self.site.follow(config)

    def add(self, running: Pipeline, schedule: Schedule, following: Following) -> None:
        """Show these too: the program has started."""
        self._readings.add_pipeline(running)
        self._readings.add_schedule(schedule, following)
        self._probe.check_now = schedule.check_now
        self._health.missing = lambda: _missing(running.watch, (running.kafka, running.postgresql))
        running.run_beside("the events", self.site.events.run())
        self.site.keep_words(running.alerts)
        recorded = partial(schedule.check_now, recorded=True)
        self.site.begin(running.store.database, recorded, lambda: facts(running, schedule))


@asynccontextmanager
async def insight(config: Config) -> AsyncIterator[Insight]:
    """Answer requests, also while the rest of the program starts and ends.

    Raises:
        WebError: the server cannot listen where it should.

    """
    lag = LoopLag()
    made = Insight(config, lag)
    with lag.watched():
        async with serving(config, made.access, made.routes, [made.site.errors_as_pages]):
            try:
                yield made
            finally:
                made.site.events.end()


def _missing(watch: Watch, servers: Iterable[Availability]) -> Iterator[str]:
    for server in servers:
        if server.unavailable_since_at is not None:
            yield f"{server.name} is away since {max(0.0, time.time() - server.unavailable_since_at):.0f} s"
    for stage, waits_for, seconds in watch.stalled():
        yield f"{stage} makes no progress for {seconds:.0f} s, it waits for {waits_for}"
