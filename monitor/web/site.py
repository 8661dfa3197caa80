"""All that the web server answers, put together.

It answers from before the program starts until after it has ended.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from monitor.alerts.situation import page_url_of
from monitor.config.model import Config
from monitor.runtime.process.event_loop import LoopLag
from monitor.runtime.waiting import within
from monitor.storage.database import StoreUnavailableError
from monitor.web.api.api import Api
from monitor.web.clients.access import Access
from monitor.web.clients.connections import max_connections
from monitor.web.events import Events
from monitor.web.health import HealthPages
from monitor.web.metrics.checks import CheckMetrics
from monitor.web.metrics.page import MetricsPage
from monitor.web.metrics.probe import ProbePage
from monitor.web.metrics.program import Section, registry, web_server
from monitor.web.pages.badges import BadgePages
from monitor.web.pages.base import Pages
from monitor.web.pages.channels import ChannelTests
from monitor.web.pages.incidents import IncidentPages
from monitor.web.pages.maintenance import MaintenanceForms
from monitor.web.pages.monitor import MonitorPage
from monitor.web.pages.overview import OverviewPage
from monitor.web.pages.pipeline import PipelinePage
from monitor.web.pages.static import static_file
from monitor.web.pages.status import StatusPages
from monitor.web.running import Program
from monitor.web.server import serving

_ORDERS_S = 1.0


class Site:
    """All pages, for people and for programs; most of them are there once `program` has started.

    `checks` counts results for `/metrics`.
    """

    def __init__(self, config: Config) -> None:
        self.program = Program()
        self.lag = LoopLag()
        self.pages = Pages(self.program, has_sessions=config.web_token is not None)
        self.checks = CheckMetrics(config.location, self.pages.orders.of, self.pages.domain_of)
        self.pages.latest = self.checks.latest
        self.events = Events(self.pages.forget, max_listeners=max_connections() // 2)
        self.api = Api(self.pages)
        self.access = Access(config, self.pages.login)
        self.middlewares = [self.pages.errors_as_pages, self.pages.wait_for_start]
        self._location = config.location
        self._status = StatusPages(self.pages)
        self._probe = ProbePage(self.program)
        self._channel_tests = ChannelTests(config.location)
        self.follow(config)

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return all routes but those of `access`."""
        metrics = registry(self.lag, self._measure)
        return [
            *MetricsPage(metrics, self._refresh, self.checks.parts).routes(),
            *HealthPages(self.program.missing).routes(),
            *self._probe.routes(),
            *OverviewPage(self.pages).routes(),
            *MonitorPage(self.pages).routes(),
            *MaintenanceForms(self.pages).routes(),
            *IncidentPages(self.pages).routes(),
            *PipelinePage(self.pages, self._location, self._channel_tests).routes(),
            *self._channel_tests.routes(),
            *self._status.routes(),
            *BadgePages(self.pages, self._status).routes(),
            *self.events.routes(),
            *self.api.routes(),
            web.get("/static/{name}", static_file),
        ]

    async def _refresh(self) -> None:
        """Prepare `/metrics`; where the database does not answer at once, the orders read last are good."""
        await self.program.refresh()
        if self.program.started is not None:
            with suppress(StoreUnavailableError):
                await within(_ORDERS_S, self.pages.read_orders())

    def _measure(self) -> list[Section]:
        return [*self.program.measure(), web_server(self.access.refusals)]

    def follow(self, config: Config) -> None:
        self.checks.follow(config.monitors, config.metrics_histograms)
        self._probe.follow(config)
        self.pages.follow(config.monitors)
        self._status.settings = config.status_page
        self._status.page_url = page_url_of(config) or "http://localhost"
        self._channel_tests.follow(config.alerts.channels)


@asynccontextmanager
async def serving_site(config: Config) -> AsyncIterator[Site]:
    """Answer requests, also while the rest of the program starts and ends.

    Raises:
        WebError: the server cannot listen where it should.

    """
    site = Site(config)
    with site.lag.watched():
        async with serving(config, site.access, site.routes(), site.middlewares):
            try:
                yield site
            finally:
                site.events.end()
