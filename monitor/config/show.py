"""The configuration in effect, as JSON that may be shown: without secrets, and with every default."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from monitor.config.model import Config, Monitor
from monitor.config.public_url import MASK, public_text, public_url

_INTERNAL = frozenset({"web_port_is_given"})
_OF_STEPS = frozenset({"url", "method", "body"})  # nobody may write them beside steps
_NO_STEPS = frozenset({"steps"})
_FIRST = ("name", "url")


def shown(config: Config) -> dict[str, Any]:
    """Return every key with its value, defaults included; keys that are not set are left out.

    A secret is `***`. URLs lose their secret parts, and texts what came from the environment.
    """
    return dict(_members(config)) | {"pg_uri": public_url(config.pg_uri.get_secret_value())}


def _members(model: BaseModel) -> Iterator[tuple[str, Any]]:
    left_out = _INTERNAL
    if isinstance(model, Monitor):
        left_out = _OF_STEPS if model.steps else _NO_STEPS
    for key in sorted(type(model).model_fields, key=lambda key: key not in _FIRST):
        value = getattr(model, key)
        if value is not None and key not in left_out:
            yield key, _shown(value)


def _shown(value: Any) -> Any:
    match value:
        case BaseModel():
            return dict(_members(value))
        case dict():
            return {key: _shown(member) for key, member in value.items()}
        case tuple():
            return [_shown(element) for element in value]
    return _text(value) if isinstance(value, SecretStr | str | Path | datetime) else value


def _text(value: SecretStr | str | Path | datetime) -> str:
    match value:
        case SecretStr():
            return MASK
        case datetime():
            return value.isoformat()
        case Path():
            return str(value)
    return public_url(value) if "://" in value else public_text(value)
