"""Fills templates. All that comes from a site, a configuration or a reader is escaped."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import BaseModel, SecretStr

from monitor.config.model import Expect, Monitor
from monitor.config.public_url import MASK
from monitor.result import why
from monitor.runtime.text import counted, duration, instant, iso, percent

_UNSET: tuple[Any, ...] = (None, (), {})


def environment(*, has_sessions: bool = False) -> Environment:
    """Return the templates; a name in a template that the page does not set is a bug, and raises."""
    made = Environment(
        loader=PackageLoader("monitor.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(has_sessions=has_sessions, why=why)
    made.filters.update(
        counted=counted,
        duration=duration,
        instant=instant,
        iso=iso,
        percent=percent,
        monitor_path=monitor_path,
        channel_test_path=channel_test_path,
    )
    return made


def monitor_path(name: str) -> str:
    """Return the path of a monitor's page."""
    return f"/monitors/{_step(name)}"


def channel_test_path(name: str) -> str:
    """Return the path that a form is sent to in order to test a channel."""
    return f"/channels/{_step(name)}/test"


def _step(name: str) -> str:
    """Return a name as one step of a path. Browsers would resolve `.` and `..`: these are quoted twice."""
    quoted = quote(name, safe="")
    return quoted.replace(".", "%252E") if name in (".", "..") else quoted


def settings_of(monitor: Monitor) -> Iterable[tuple[str, str]]:
    """Return the settings of a monitor, with its secrets masked."""
    for name, value in monitor:
        if name == "url":
            yield name, monitor.public_url
        elif name == "headers":
            yield from ((f"header {header}", MASK) for header in monitor.headers)
        elif value not in _UNSET and (written := _written(value)):
            yield name, written


def _written(value: Any) -> str:
    match value:
        case SecretStr():
            return MASK
        case Expect():
            return ", ".join(f"{name}: {_expected(name, each)}" for name, each in value if each not in _UNSET)
        case BaseModel() | dict():
            return ", ".join(
                f"{name}: {_written(each)}" for name, each in dict(value).items() if each not in _UNSET
            )
        case tuple():
            return ", ".join(map(_written, value))
        case bool():
            return "yes" if value else "no"
    return str(value).removesuffix(".0")


def _expected(name: str, value: Any) -> str:
    """Return an expectation as text. Patterns may have values of the environment: they are only counted."""
    if name == "status" or not isinstance(value, tuple | dict):
        return _written(value)
    return f"{len(value)} set"
