"""How the API answers a request that it cannot fulfil: `application/problem+json` (RFC 9457)."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from monitor.storage.database import StoreUnavailableError
from monitor.web.clients.access import is_api, route
from monitor.web.clients.requests import Handler

_RETRY_AFTER_S = 5
_PAYLOAD_HEADERS = ("Content-Type", "Content-Length")


class Mistake(msgspec.Struct, frozen=True):
    """A parameter or field that is wrong, and what is allowed."""

    parameter: str
    problem: str


class Problem(msgspec.Struct, frozen=True):
    """Why a request is not fulfilled; `title` names the status code, `detail` explains it to a person."""

    type: str
    title: str
    status: int
    detail: str
    errors: Sequence[Mistake] = ()


class ProblemError(Exception):
    """A request is not fulfilled; the text says why. The API sends it as a `Problem`, pages as a page.

    `title` is that of the page; by default it names the status code.
    """

    def __init__(
        self, status: int, detail: str, errors: Sequence[Mistake] = (), *, title: str | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.errors = errors
        self.title = title or HTTPStatus(status).phrase

    @classmethod
    def about(cls, mistakes: Sequence[Mistake], status: int = 400) -> "ProblemError":
        """Make a problem of these mistakes; 400 where the OpenAPI document excludes them, else 422."""
        return cls(status, "; ".join(f"{each.parameter} {each.problem}" for each in mistakes), mistakes)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Send whatever goes wrong below `/api` as a problem."""
    if not is_api(request):
        return await handler(request)
    try:
        return await handler(request)
    except ProblemError as error:
        return _response(error.status, str(error), error.errors)
    except StoreUnavailableError:
        return _response(
            503, "PostgreSQL is unavailable; checks continue", headers={"Retry-After": f"{_RETRY_AFTER_S}"}
        )
    except web.HTTPException as refusal:
        kept = {name: value for name, value in refusal.headers.items() if name not in _PAYLOAD_HEADERS}
        return _response(refusal.status, _detail(refusal), headers=kept)
    except Exception as error:
        # aiohttp would do the same, but in HTML. Once an answer has begun, only it can end the connection.
        request.protocol.log_exception(route(request), exc_info=error)
        if request.writer.output_size:
            raise
        return _response(500, "a bug; the log of the program has more")


def _detail(refusal: web.HTTPException) -> str:
    text = (refusal.text or "").strip()
    if refusal.status == HTTPStatus.NOT_FOUND:
        return "there is no such address"
    if refusal.status == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"allowed here: {refusal.headers['Allow']}"
    return text


def _response(
    status: int, detail: str, errors: Sequence[Mistake] = (), headers: Mapping[str, Any] | None = None
) -> web.Response:
    problem = Problem("about:blank", HTTPStatus(status).phrase, status, detail, errors)
    return web.Response(
        status=status,
        body=msgspec.json.encode(problem),
        content_type="application/problem+json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )
