"""The processes of this location, through the API."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from monitor.web.api.operations.operation import Operation, answer, csv_answer
from monitor.web.api.operations.tables import columns
from monitor.web.pages.base import Pages
from monitor.web.processes import ProcessList, ProcessShown

_COLUMNS = columns(ProcessShown)


class ApiProcesses:
    """Lists the processes that share the checks of this location."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def operations(self) -> list[Operation]:
        return [
            Operation(
                "GET",
                "/processes",
                "The processes that share the checks of this location",
                "As the process that answers knows them, with the shards of each: monitors are divided into "
                "64. There are none where checks are not shared.",
                self._list,
                ProcessList,
                columns=_COLUMNS,
            )
        ]

    async def _list(self, request: web.Request, asked: Mapping[str, Any]) -> web.Response:
        found = self._pages.program.processes()
        if asked["format"] == "csv":
            return csv_answer(found.processes, _COLUMNS, request)
        return answer(found, request)
