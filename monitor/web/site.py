"""All pages for people, put together."""

from collections.abc import Callable, Iterable

from aiohttp import web

from monitor.alert_store import AlertStore
from monitor.config import Config
from monitor.storage_database import Database
from monitor.store_pages import PageReader
from monitor.web.api import Api
from monitor.web.assets import asset_routes
from monitor.web.badges import BadgePages
from monitor.web.events import Events
from monitor.web.incident_pages import IncidentPages
from monitor.web.monitor_maintenance import MaintenanceForms
from monitor.web.monitor_page import CheckNow, MonitorPage
from monitor.web.overview import OverviewPage
from monitor.web.pages import Pages
from monitor.web.pipeline_page import Facts, PipelinePage
from monitor.web.status_page import StatusPages


class Site:
    """Shows that the program is starting, until `begin`; `missing` says what is not ready."""

    def __init__(self, config: Config, missing: Callable[[], Iterable[str]]) -> None:
        self._pages = Pages(has_sessions=config.web_token is not None)
        self._monitor = MonitorPage(self._pages)
        self.incidents = IncidentPages(self._pages)
        self.maintenance = MaintenanceForms(self._pages)
        self._pipeline = PipelinePage(self._pages, config.location, missing)
        self._status = StatusPages(self._pages)
        self.api = Api(self._pages)
        self.events = Events(self._pages.forget)
        self.errors_as_pages = self._pages.errors_as_pages
        self.follow(config)

    def routes(self) -> list[web.AbstractRouteDef]:
        """Give all pages, and the API."""
        return [
            *OverviewPage(self._pages).routes(),
            *self._monitor.routes(),
            *self.maintenance.routes(),
            *self.incidents.routes(),
            *self._pipeline.routes(),
            *self._status.routes(),
            *BadgePages(self._pages, self._status).routes(),
            *self.events.routes(),
            *self.api.routes(),
            *asset_routes(),
        ]

    def follow(self, config: Config) -> None:
        """Show the monitors of this configuration, and no others."""
        self._pages.follow(config.monitors)
        self._pages.forget()
        self._status.settings = config.status_page

    def keep_words(self, alerts: AlertStore) -> None:
        """Keep there what people say."""
        self.api.alerting.store = self.incidents.alerts = self.maintenance.alerts = alerts

    def begin(self, database: Database, check_now: CheckNow, facts: Callable[[], Facts]) -> None:
        """Show what is stored from now on, and the running program."""
        reader = PageReader(database)
        self._pages.reader = reader
        self.events.source = reader
        self._monitor.check_now = check_now
        self.api.monitors.check_now = check_now
        self._pipeline.facts = facts

    def login_page(self, onward: str, problem: str) -> str:
        """Make the page that asks for the token."""
        return self._pages.render("login.html", "", next=onward, problem=problem)
