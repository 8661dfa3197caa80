"""The bodies of steps: JSON and forms, as they are sent. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote_plus

from pydantic import SecretStr

from monitor.config.steps.templates import filled, joined, pieces


def read_json(value: object) -> SecretStr:
    """Allow JSON; return its text. What came from the environment stays marked as such."""
    try:
        return SecretStr(joined(_json_parts(value)))
    except (ValueError, RecursionError) as error:
        raise ValueError("nested too deeply, or a number too large; must be JSON") from error


def _json_parts(value: Any) -> Iterator[tuple[str, bool]]:
    match value:
        case str():
            yield '"', False
            for piece, outside in pieces(value):
                yield in_json(piece), outside
            yield '"', False
        case list():
            yield "[", False
            for position, element in enumerate(value):
                yield ", " if position else "", False
                yield from _json_parts(element)
            yield "]", False
        case dict():
            yield "{", False
            for position, (key, member) in enumerate(value.items()):
                yield f'{", " if position else ""}"{in_json(key)}": ', False
                yield from _json_parts(member)
            yield "}", False
        case _:
            yield json.dumps(value, allow_nan=False), False


def in_json(text: str) -> str:
    """Return the text as it stands between the quotes of JSON."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def form_text(form: Mapping[str, SecretStr], values: Mapping[str, str]) -> str:
    """Return the fields of a form, with values in the places of their names, as browsers send them."""
    return joined(_form_parts(form, values))


def _form_parts(form: Mapping[str, SecretStr], values: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    for position, (name, value) in enumerate(form.items()):
        yield f"{'&' if position else ''}{quote_plus(name)}=", False
        for piece, outside in pieces(filled(value.get_secret_value(), values)):
            yield quote_plus(piece), outside
