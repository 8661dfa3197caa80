"""The API's results of one monitor: page by page, or all of a time range as one file."""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from monitor.result import CheckResult, Evidence, StepResult, Tls
from monitor.runtime.text import DAY_S
from monitor.storage.database import StoreUnavailableError
from monitor.uptime.sums import Status, status_of
from monitor.web.api.operations.operation import Operation, answer, csv_answer, headers, saved_as
from monitor.web.api.operations.parameters import LIMIT, PLACE_CURSOR, SINCE, UNTIL, place_cursor, time_range
from monitor.web.api.operations.tables import columns, table
from monitor.web.pages.base import Pages
from monitor.web.queries import PageReader, Place, ResultRow

_PART = 250  # results of an export that are encoded at once: checks have to wait meanwhile
_PHASES = ("resolve_s", "connect_s", "tls_s", "processing_s", "transfer_s")


class Result(msgspec.Struct, frozen=True):
    """What one check found; a phase that did not run is null."""

    scheduled_at: float
    """The slot of the check."""
    started_at: float
    location: str | None
    status: Status
    status_code: int | None
    response_time_s: float | None
    reason: str | None
    detail: str | None
    resolve_s: float | None
    connect_s: float | None
    tls_s: float | None
    processing_s: float | None
    transfer_s: float | None
    ip: str | None
    http_version: str | None
    certificate_expires_at: float | None
    tls: Tls | None
    evidence: Evidence | None
    """What a failed check has seen: the response, DNS, addresses, redirects, certificates."""
    steps: Sequence[StepResult] | None
    """What each step found, for a monitor that has steps."""


class ResultList(msgspec.Struct, frozen=True):
    """Results, the newest first; `next` is the cursor of the next page, null on the last."""

    results: Sequence[Result]
    next: str | None


_COLUMNS = columns(Result, without=("tls", "evidence", "steps"))


class ApiResults:
    """The results of the monitors in the configuration."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def operations(self) -> list[Operation]:
        return [
            Operation(
                "GET",
                "/monitors/{name}/results",
                "Results of a monitor, the newest first",
                "Those whose slots lie from `since` until `until`, page by page. As CSV they are without "
                "`tls`, `evidence` and `steps`.",
                self._list,
                ResultList,
                (SINCE, UNTIL, LIMIT, PLACE_CURSOR),
                _COLUMNS,
            ),
            Operation(
                "GET",
                "/monitors/{name}/export",
                "All results of a time range as one file, the newest first",
                "However many there are; `next` is null. A file that breaks off has no end: its transfer "
                "fails, so a part is never taken for the whole.",
                self._export,
                ResultList,
                (SINCE, UNTIL),
                _COLUMNS,
            ),
        ]

    async def _list(self, request: web.Request, asked: Mapping[str, Any]) -> web.Response:
        name = self._pages.asked(request).name
        since, until = time_range(asked, time.time(), DAY_S)
        limit = asked["limit"]
        after = min(Place(until, 0), asked["cursor"])
        found = await self._pages.running.reader.results(name, since, after, limit + 1)
        rows, onward = found[:limit], None
        if len(found) > limit:
            onward = place_cursor(rows[-1].scheduled_at, rows[-1].id)
        results = list(map(result_of_row, rows))
        if asked["format"] == "csv":
            return csv_answer(results, _COLUMNS, request, onward)
        return answer(ResultList(results, onward), request, onward)

    async def _export(self, request: web.Request, asked: Mapping[str, Any]) -> web.StreamResponse:
        """Send page by page, so that a slow reader holds neither memory nor a connection to the database."""
        name, is_csv = self._pages.asked(request).name, asked["format"] == "csv"
        since, until = time_range(asked, time.time(), DAY_S)
        pages = _pages(self._pages.running.reader, name, since, Place(until, 0))
        parts = _csv_parts(pages) if is_csv else _json_parts(pages)
        first = await anext(parts)  # while an error can still be answered with a problem
        response = web.StreamResponse(headers=headers(request) | saved_as(f"{name}.{asked['format']}"))
        response.content_type = "text/csv" if is_csv else "application/json"
        response.charset = "utf-8" if is_csv else None
        await response.prepare(request)
        await response.write(first)
        try:
            async for part in parts:
                await response.write(part)
        except StoreUnavailableError:
            # The file lacks its end, so that nobody takes it for a complete one.
            assert request.transport is not None  # noqa: S101 - it was written to
            request.transport.close()
        return response


async def _pages(reader: PageReader, name: str, since: float, after: Place) -> AsyncIterator[list[Result]]:
    while rows := await reader.results(name, since, after, _PART):
        yield list(map(result_of_row, rows))
        after = Place(rows[-1].scheduled_at, rows[-1].id)
        if len(rows) < _PART:
            break


async def _csv_parts(pages: AsyncIterator[list[Result]]) -> AsyncIterator[bytes]:
    head = table((), _COLUMNS)
    async for results in pages:
        yield head + table(results, _COLUMNS, head=False)
        head = b""
    yield head


async def _json_parts(pages: AsyncIterator[list[Result]]) -> AsyncIterator[bytes]:
    before = b'{"results":['
    async for results in pages:
        yield before + b",\n".join(map(msgspec.json.encode, results))
        before = b",\n"
    yield b'],"next":null}' if before == b",\n" else before + b'],"next":null}'


def result_of_row(row: ResultRow) -> Result:
    return _result(row, row.status, row.time, {phase: getattr(row, phase) for phase in _PHASES})


def result_of(result: CheckResult) -> Result:
    phases = msgspec.structs.asdict(result.phases)
    return _result(
        result,
        result.response_status,
        result.response_time,
        {f"{phase}_s": seconds for phase, seconds in phases.items()},
    )


def _result(
    found: ResultRow | CheckResult,
    status_code: int | None,
    time_s: float | None,
    phases: Mapping[str, float | None],
) -> Result:
    return Result(
        scheduled_at=found.scheduled_at,
        started_at=found.timestamp,
        location=found.location,
        status=status_of(found.up, found.degraded),
        status_code=status_code,
        response_time_s=_rounded(time_s),
        reason=found.reason,
        detail=found.detail,
        **{phase: _rounded(phases[phase]) for phase in _PHASES},
        ip=found.ip,
        http_version=found.http_version,
        certificate_expires_at=found.certificate_expires_at,
        tls=msgspec.convert(found.tls, Tls | None),
        evidence=msgspec.convert(found.evidence, Evidence | None),
        steps=msgspec.convert(found.steps, Sequence[StepResult] | None),
    )


def _rounded(seconds: float | None) -> float | None:
    return seconds if seconds is None else round(seconds, 6)
