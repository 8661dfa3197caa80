"""The operations of the API: each is defined once, for its route and for the OpenAPI document."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, unquote

import msgspec
from aiohttp import web

from monitor.web.api.operations.parameters import FORMAT, Parameter, read
from monitor.web.api.operations.problems import ProblemError
from monitor.web.api.operations.tables import table

ROOT = "/api/v1"
PATH_PATTERNS = {"name": "[^/]+", "id": "[0-9]{1,18}"}

Answer = Callable[[web.Request, Mapping[str, Any]], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path below `/api/v1`.

    `answer` gets the request and its parameters by name; among them, as `body`, the body of type `takes`.
    With `columns`, the answer can be a table, and `format` is a parameter, too.
    """

    method: Literal["GET", "POST"]
    path: str
    summary: str
    description: str
    answer: Answer
    gives: type[msgspec.Struct]
    own_parameters: Sequence[Parameter] = ()
    columns: Sequence[str] = ()
    takes: type[msgspec.Struct] | None = None

    @property
    def id(self) -> str:
        """Return its name in the document: `get_monitors_one`."""
        words = [word for word in self.path.split("/") if word and not word.startswith("{")]
        return "_".join([self.method.lower(), *words, *(["one"] if self.path.endswith("}") else [])])

    @property
    def parameters(self) -> Sequence[Parameter]:
        return (*self.own_parameters, FORMAT) if self.columns else self.own_parameters

    def route(self) -> web.RouteDef:
        """Return the route; it accepts nothing that the OpenAPI document does not describe."""
        path = self.path
        for name, pattern in PATH_PATTERNS.items():
            path = path.replace(f"{{{name}}}", f"{{{name}:{pattern}}}")
        define = {"GET": web.get, "POST": web.post}[self.method]
        return define(ROOT + path, self._handle)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        asked = read(request.query, self.parameters)
        if self.takes is not None:
            asked["body"] = await _body(request, self.takes)
        return await self.answer(request, asked)


async def _body(request: web.Request, kind: type[msgspec.Struct]) -> msgspec.Struct:
    if request.content_type != "application/json":
        raise ProblemError(415, "the body must be application/json")
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProblemError(400, f"the body is not as described: {error}") from None


def answer(content: Any, request: web.Request, onward: str | None = None) -> web.Response:
    """Return an answer in JSON; `onward` is the cursor of a list's next page."""
    return web.Response(
        body=msgspec.json.encode(content), content_type="application/json", headers=headers(request, onward)
    )


def headers(request: web.Request, onward: str | None = None) -> dict[str, str]:
    """Return the headers of an answer; with the cursor `onward`, also a link to the next page."""
    kept = {"Cache-Control": "no-store"}
    if onward is not None:
        kept["Link"] = f'<{request.rel_url.update_query(cursor=onward)}>; rel="next"'
    return kept


def csv_answer(
    rows: Sequence[msgspec.Struct], columns: Sequence[str], request: web.Request, onward: str | None = None
) -> web.Response:
    """Return an answer in CSV, to be saved as a file; `onward` is the cursor of the next page."""
    steps = [unquote(step) for step in request.rel_url.raw_path.removeprefix(f"{ROOT}/").split("/")]
    return web.Response(
        body=table(rows, columns),
        content_type="text/csv",
        charset="utf-8",
        headers={**headers(request, onward), **saved_as(f"{'-'.join(steps)}.csv")},
    )


def saved_as(file: str) -> dict[str, str]:
    """Return the header that makes browsers save an answer as a file of this name."""
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(file, safe='')}"}
