"""The settings of a monitor, with its secrets masked: as JSON has them, and as people read them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from monitor.config.model import Expect, Monitor
from monitor.config.public_url import MASK

_UNSET: tuple[Any, ...] = (None, [], {})


def settings_of(monitor: Monitor) -> dict[str, Any]:
    """Return all settings as the API has them; patterns are masked, too, as they may have secrets."""
    settings = {name: _masked(value) for name, value in monitor}
    headers = dict.fromkeys(monitor.headers, MASK)
    return settings | {"url": monitor.public_url, "headers": headers, "expect": _expectations(monitor.expect)}


def _expectations(expect: Expect) -> dict[str, Any]:
    return {name: _masked(value) if name == "status" else _hidden(_masked(value)) for name, value in expect}


def _hidden(value: Any) -> Any:
    match value:
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


def in_words(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Return those settings that are set, for people."""
    for name, value in settings.items():
        if value not in _UNSET and (text := _text(value)):
            yield name, text


def _text(value: Any) -> str:
    match value:
        case dict():
            return ", ".join(f"{name}: {text}" for name, text in in_words(value))
        case list():
            return f"{len(value)} set" if set(map(str, value)) == {MASK} else ", ".join(map(_text, value))
        case bool():
            return "yes" if value else "no"
    return str(value).removesuffix(".0")
