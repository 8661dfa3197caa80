"""The API below `/api/v1`: what the pages show, for programs."""

import msgspec
from aiohttp import web

from monitor.web.api.alerting import ApiAlerting
from monitor.web.api.incidents import ApiIncidents
from monitor.web.api.maintenance import ApiMaintenance
from monitor.web.api.monitors import ApiMonitors
from monitor.web.api.operations.openapi import document
from monitor.web.api.operations.operation import ROOT, Operation
from monitor.web.api.processes import ApiProcesses
from monitor.web.api.results import ApiResults
from monitor.web.api.uptime import ApiUptime
from monitor.web.pages.base import Pages


class Api:
    """All operations of the API, and the document that describes them."""

    def __init__(self, pages: Pages) -> None:
        self.operations: list[Operation] = [
            *ApiMonitors(pages).operations(),
            *ApiResults(pages).operations(),
            *ApiUptime(pages).operations(),
            *ApiIncidents(pages).operations(),
            *ApiAlerting(pages).operations(),
            *ApiMaintenance(pages).operations(),
            *ApiProcesses(pages).operations(),
        ]
        self._document = msgspec.json.encode(document(self.operations))

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(f"{ROOT}/openapi.json", self._openapi),
            *(operation.route() for operation in self.operations),
        ]

    async def _openapi(self, _: web.Request) -> web.Response:
        return web.Response(body=self._document, content_type="application/json")
