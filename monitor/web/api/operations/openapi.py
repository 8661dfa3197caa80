"""The OpenAPI document of the API, made from its operations and the types of their answers."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from monitor.web.api.operations.operation import PATH_PATTERNS, ROOT, Operation
from monitor.web.api.operations.parameters import Parameter
from monitor.web.api.operations.problems import Problem

_JSON = "application/json"
_PATH_PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "name": {
        "description": "the monitor's name, percent-encoded",
        "schema": {"type": "string", "minLength": 1},
    },
    "id": {"description": "the number", "schema": {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}},
}


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return a description of these operations in OpenAPI 3.1."""
    types = [each for one in operations for each in (one.gives, one.takes) if each is not None]
    schemas, components = msgspec.json.schema_components(
        [*types, Problem], ref_template="#/components/schemas/{name}"
    )
    described = dict(zip([*types, Problem], schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, described)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Website health monitor",
            "version": "1",
            "description": (
                "Instants (`…_at`) are Unix seconds, durations (`…_s`) seconds. Requests may have "
                "instants in ISO 8601 too. An error is answered with a problem (RFC 9457)."
            ),
        },
        "servers": [{"url": ROOT}],
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {
                "Problem": {
                    "description": "why the request was not fulfilled",
                    "content": {"application/problem+json": {"schema": described[Problem]}},
                }
            },
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "the `web_token` of the configuration, if it is set",
                }
            },
        },
    }


def _operation(operation: Operation, described: Mapping[Any, Any]) -> dict[str, Any]:
    in_path = [
        {"name": name, "in": "path", "required": True, **_PATH_PARAMETERS[name]}
        for name in PATH_PATTERNS
        if f"{{{name}}}" in operation.path
    ]
    contents: dict[str, Any] = {_JSON: {"schema": described[operation.gives]}}
    if operation.columns:
        contents["text/csv"] = {"schema": {"type": "string"}}
    written: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "description": operation.description,
        "parameters": [*in_path, *map(_in_query, operation.parameters)],
        "responses": {
            "200": {"description": "the request was fulfilled", "content": contents},
            "default": {"$ref": "#/components/responses/Problem"},
        },
    }
    if operation.takes is not None:
        content = {_JSON: {"schema": described[operation.takes]}}
        written["requestBody"] = {"required": True, "content": content}
    return written


def _in_query(parameter: Parameter) -> dict[str, Any]:
    schema = parameter.schema
    if parameter.repeats:
        schema = {"type": "array", "items": schema}
    return {"name": parameter.name, "in": "query", "description": parameter.meaning, "schema": schema}
