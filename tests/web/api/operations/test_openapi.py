"""The OpenAPI document, held against the routes and the answers."""

from typing import Any

import jsonschema
import msgspec
import pytest
from aiohttp import web
from multidict import MultiDict

from monitor.config.model import Config
from monitor.web.api.operations.openapi import document
from monitor.web.api.operations.parameters import _FIRST_AT, _LAST_AT, read
from monitor.web.site import Site
from tests.web.api.client import Client

SITE = Site(Config(monitors=(), web_port=0))


def documented() -> Any:
    return msgspec.to_builtins(document(SITE.api.operations))


def routes() -> set[tuple[str, str]]:
    """Methods and addresses below `/api/v1`, as the server has them."""
    app = web.Application()
    app.add_routes(SITE.routes())
    return {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.resource.canonical.startswith("/api/")
    }


def check(schema: Any, instance: Any) -> None:
    whole = {**schema, "components": documented()["components"]}
    jsonschema.Draft202012Validator(whole).validate(instance)


def test_each_route_is_described_and_each_description_has_a_route() -> None:
    described = {
        (method.upper(), f"/api/v1{path}")
        for path, methods in documented()["paths"].items()
        for method in methods
    }

    served = {route for route in routes() if route[0] != "HEAD"}

    assert served == described | {("GET", "/api/v1/openapi.json")}


def test_what_is_read_may_be_asked_for_by_head() -> None:
    heads = {path for method, path in routes() if method == "HEAD"}

    assert heads == {path for method, path in routes() if method == "GET"}


def test_each_operation_has_a_name_of_its_own() -> None:
    names = [each["operationId"] for methods in documented()["paths"].values() for each in methods.values()]

    assert len(set(names)) == len(names)
    assert "get_monitors_one" in names
    assert "post_monitors_check" in names


def test_the_schemas_are_json_schema() -> None:
    for schema in documented()["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("since", [_FIRST_AT, _LAST_AT, "2026-11-25"], [_FIRST_AT - 1, _LAST_AT + 1, True, None]),
        ("until", [_FIRST_AT, _LAST_AT, "2026-11-25"], [_FIRST_AT - 1, _LAST_AT + 1, True, None]),
        ("limit", [1, 1_000], [0, 1_001, 1.5, "ten"]),
        ("cursor", ["00", "c3a9"], ["", "0", "xy", 7]),
        ("format", ["json", "csv"], ["", "xml"]),
        ("monitor", [[], ["a", "K\u00e4se / b"]], [["a\0b"], "a", [7]]),
    ],
)
def test_a_parameter_is_described_as_it_is_read(name: str, allowed: list[Any], refused: list[Any]) -> None:
    described = {each["name"]: each for each in documented()["paths"]["/uptime"]["get"]["parameters"]}
    is_valid = jsonschema.Draft202012Validator(described[name]["schema"]).is_valid
    (operation,) = (each for each in SITE.api.operations if each.path == "/uptime")

    assert (described[name]["in"], bool(described[name]["description"])) == ("query", True)
    assert [is_valid(each) for each in (*allowed, *refused)] == [True] * len(allowed) + [False] * len(refused)
    for each in allowed:
        values = each if isinstance(each, list) else [each]
        assert name in read(MultiDict((name, str(value)) for value in values), operation.parameters)


def test_defaults_are_described_as_they_are_used() -> None:
    described = documented()["paths"]["/uptime"]["get"]["parameters"]
    (operation,) = (each for each in SITE.api.operations if each.path == "/uptime")
    used = read(MultiDict(), operation.parameters)

    defaults = {each["name"]: each["schema"]["default"] for each in described if "default" in each["schema"]}
    assert defaults == {"limit": 100, "format": "json"} == {name: used[name] for name in defaults}


@pytest.mark.parametrize(
    ("path", "name", "allowed", "refused"),
    [
        ("/monitors/{name}", "name", ["a"], ["", 7]),
        ("/incidents/{id}", "id", [0, 10**18 - 1], [-1, 10**18, "x"]),
    ],
)
def test_what_is_in_a_path_is_described(path: str, name: str, allowed: list[Any], refused: list[Any]) -> None:
    described, *_ = documented()["paths"][path]["get"]["parameters"]
    is_valid = jsonschema.Draft202012Validator(described["schema"]).is_valid

    assert (described["name"], described["in"], described["required"]) == (name, "path", True)
    assert [is_valid(each) for each in (*allowed, *refused)] == [True] * len(allowed) + [False] * len(refused)


async def test_the_document_is_served(api: Client) -> None:
    served = (await api("/openapi.json")).json

    assert served["openapi"] == "3.1.0"
    assert served["paths"] == documented()["paths"]


async def test_problems_are_as_described(api: Client) -> None:
    problem = await api.refused("/api/v1/monitors?limit=0", 400)

    check(
        documented()["components"]["responses"]["Problem"]["content"]["application/problem+json"]["schema"],
        problem,
    )
