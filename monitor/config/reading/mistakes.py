"""What is wrong with a configuration file, one line for each mistake, without showing a value."""

import difflib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from monitor.config.alerts import (
    WEBHOOK_TAG,
    Alerts,
    GroupSettings,
    Maintenance,
    MassOutageSettings,
    Notify,
    Webhook,
)
from monitor.config.expect import Expect
from monitor.config.model import (
    BasicAuth,
    MonitorSettings,
    OAuth2,
    StatusPage,
    Window,
    WrittenConfig,
    WrittenMonitor,
)
from monitor.config.reading.document import JsonPlace
from monitor.config.rules import kind
from monitor.config.steps.step import Save, Step
from monitor.runtime.text import printable

_MODELS: dict[str | None, type[BaseModel]] = {
    None: WrittenConfig,
    "monitors": WrittenMonitor,
    "defaults": MonitorSettings,
    "modules": MonitorSettings,
    "expect": Expect,
    "steps": Step,
    "save": Save,
    "basic_auth": BasicAuth,
    "oauth2": OAuth2,
    "window": Window,
    "alerts": Alerts,
    "mass_outage": MassOutageSettings,
    "groups": GroupSettings,
    "notify": Notify,
    "maintenance": Maintenance,
    WEBHOOK_TAG: Webhook,
    "status_page": StatusPage,
}

_ALLOWED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "an object",
    "model_type": "an object",
    "tuple_type": "a list",
}

_SENTENCES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "missing; must be given",
    "missing_url": lambda _: "missing; must be given, or steps",
    "literal_error": lambda limit: f"not one of the choices; must be {limit['expected']}",
    "greater_than": lambda limit: f"too small; must be greater than {limit['gt']:g}",
    "greater_than_equal": lambda limit: f"too small; must be at least {limit['ge']:.12g}",
    "less_than_equal": lambda limit: f"too large; must be at most {limit['le']:.12g}",
    "int_parsing_size": lambda _: "not one of the choices; must be one of them",  # beyond 64 bits
    "finite_number": lambda _: "not a finite number; must be a number",
    "value_error": lambda limit: str(limit["error"]),
}


def _unknown_key(place: JsonPlace) -> str:
    if place in {("defaults", "name"), ("defaults", "url"), ("defaults", "steps")}:
        return "not a default; must be given in each monitor"
    if place[0] == "modules" and place[2:] in {("name",), ("url",), ("steps",)}:
        return "not of a module; the target of /probe is what has it"
    parent = next((step for step in reversed(place[:-1]) if isinstance(step, str) and step in _MODELS), None)
    keys = [field.alias or name for name, field in _MODELS[parent].model_fields.items()]
    nearest = difflib.get_close_matches(str(place[-1]), keys, n=1)
    return (
        f'unknown key; did you mean "{nearest[0]}"?'
        if nearest
        else f"unknown key; known are {', '.join(keys)}"
    )


def sentence(error: ErrorDetails) -> str:
    """Return what is wrong and what is allowed, in our own words; the value itself is not shown."""
    of_type = error["type"]
    if of_type in _ALLOWED:
        return f"is {kind(error['input'])}; must be {_ALLOWED[of_type]}"
    if of_type == "extra_forbidden":
        return _unknown_key(error["loc"])
    return _SENTENCES[of_type](error.get("ctx", {}))


def place_of(error: ErrorDetails, document: Any) -> JsonPlace:
    """Return the place in the document that the error is about, without pydantic's additions to it."""
    place: list[str | int] = []
    for step in error["loc"]:
        inside = isinstance(document, dict) and step in document
        inside = inside or (isinstance(document, list) and isinstance(step, int))
        if inside:
            document = document[step]
        if inside or (error["type"].startswith("missing") and step is error["loc"][-1]):
            place.append(step)
    return tuple(place)


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if re.fullmatch(r"[\w$-]{1,80}", step) else f"[{json.dumps(step[:80])}]"


def line(file: object, place: JsonPlace, text: str) -> str:
    """Return one line: the file, the JSON path, what is wrong; what is allowed."""
    path = "".join(map(_step, place)).removeprefix(".")
    return printable(f"{file}: {path}: {text}" if path else f"{file}: {text}")
