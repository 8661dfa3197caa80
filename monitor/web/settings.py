"""The settings of a monitor, with its secrets masked: as JSON has them, and as people read them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, SecretStr

from monitor.config.expect import Expect
from monitor.config.model import Monitor
from monitor.config.public_url import MASK, public_text
from monitor.config.steps.step import Step
from monitor.runtime.text import duration

_UNSET: tuple[Any, ...] = (None, [], {})
_OPEN = {"status", "tls", "min_tls_version"}  # expectations that are no patterns
_PATTERNS = ("json", "regex", "body_regex")
_SHOWN_ABOVE = ("name", "url", "labels", "runbook")


def settings_of(monitor: Monitor) -> dict[str, Any]:
    """Return all settings as the API has them; patterns are masked, too, as they may have secrets."""
    settings = {name: _masked(value) for name, value in monitor}
    return settings | _public(monitor) | {"steps": [_step(step) for step in monitor.steps]}


def _step(step: Step) -> dict[str, Any]:
    saved = {
        name: {key: MASK if value and key in _PATTERNS else value for key, value in save}
        for name, save in step.save.items()
    }
    return {name: _masked(value) for name, value in step} | _public(step) | {"save": saved}


def _public(owner: Monitor | Step) -> dict[str, Any]:
    return {
        "url": owner.public_url,
        "headers": dict.fromkeys(owner.headers, MASK),
        "expect": None if owner.expect is None else _expectations(owner.expect),
    }


def _expectations(expect: Expect) -> dict[str, Any]:
    expected = {name: _masked(value) if name in _OPEN else _hidden(_masked(value)) for name, value in expect}
    return expected | {"certificate_sha256": [public_text(each) for each in expect.certificate_sha256]}


def _hidden(value: Any) -> Any:
    match value:
        case str():
            return MASK
        case list():
            return [MASK] * len(value)
        case dict():
            return dict.fromkeys(value, MASK)
    return value


def _masked(value: Any) -> Any:
    match value:
        case SecretStr():
            return MASK
        case BaseModel() | dict():
            return {name: _masked(each) for name, each in dict(value).items()}
        case tuple():
            return [_masked(each) for each in value]
        case Path():
            return str(value)
    return value


class Setting(NamedTuple):
    """One setting, as people read it."""

    label: str
    text: str
    is_default: bool


def in_words(monitor: Monitor) -> list[Setting]:
    """Return the settings that are set, but for those at the top of each monitor's page."""
    shown = settings_of(monitor)
    expect = shown.pop("expect")
    del shown["steps"]
    if monitor.steps:
        del shown["method"]
    return [
        *(Setting(f"step {step.name}", _step_in_words(step), is_default=False) for step in monitor.steps),
        *_in_words(monitor, {name: value for name, value in shown.items() if name not in _SHOWN_ABOVE}),
        *_in_words(monitor.expect, expect, "expected "),
    ]


def _step_in_words(step: Step) -> str:
    words = [f"{step.asked_method} {step.public_url}"]
    if step.save:
        words.append(f"saves {', '.join(step.save)}")
    if step.always:
        words.append("always")
    return ", ".join(words)


def _in_words(owner: BaseModel, settings: Mapping[str, Any], prefix: str = "") -> Iterator[Setting]:
    defaults = type(owner).model_fields
    for name, value in settings.items():
        if value not in _UNSET and (text := _text(name, value)):
            is_default = getattr(owner, name) == defaults[name].default
            yield Setting(prefix + _label(name), text, is_default)


def _label(name: str) -> str:
    return name.removesuffix("_s").replace("_", " ")


def _text(name: str, value: Any) -> str:
    match value:
        case dict():
            parts = [(_label(key), _text(key, each)) for key, each in value.items() if each not in _UNSET]
            return ", ".join(f"{label}: {text}" for label, text in parts if text)
        case list():
            return (
                f"{len(value)} set"
                if set(map(str, value)) == {MASK}
                else ", ".join(_text("", each) for each in value)
            )
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return duration(value) if name.endswith("_s") else f"{value:,}".removesuffix(".0")
    return str(value)
