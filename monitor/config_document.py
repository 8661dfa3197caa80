"""A JSON document that a person wrote: read, `${NAME}` replaced, every oddity found with its place."""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitor.config_text_file import read_text
from monitor.public_url import Expanded

MAX_BYTES = 16_000_000
MAX_DEPTH = 100
_MAX_DIGITS = 300  # a float ends at 1.8e308

Place = tuple[str | int, ...]

_DOLLAR = re.compile(r"\$(?:\$|\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)\})?)")


class InvalidJsonError(ValueError):
    """The text is no JSON; the message says where."""


class _Object(dict[str, Any]):
    """A JSON object; `repeated` are the keys that it gives more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(name for name, _ in pairs)
        self.repeated = [name for name, count in counts.items() if count > 1]


def _whole_number(digits: str) -> float:
    return int(digits) if len(digits) < _MAX_DIGITS else math.inf


def parse(path: Path) -> Any:
    """Read the file as JSON; what JSON allows and we do not is left for `Expansion` to report.

    Raises:
        UnreadableError: the file cannot be read as text.
        InvalidJsonError: its text is no JSON.

    """
    text = read_text(path, MAX_BYTES)
    if not text.strip():
        raise InvalidJsonError("empty; must be a JSON object")
    try:
        return json.loads(text, object_pairs_hook=_Object, parse_int=_whole_number, parse_constant=float)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise InvalidJsonError(f"not JSON ({where}: {error.msg}); must be a JSON object") from error
    except RecursionError as error:
        raise InvalidJsonError(f"nested too deeply; at most {MAX_DEPTH} levels") from error


@dataclass(slots=True)
class Expansion:
    """Replaces `${NAME}` by environment variables and `$$` by a dollar, in strings, not in keys.

    `mistakes` tells what is wrong where; at such a place the result has `None`.
    """

    environ: Mapping[str, str]
    mistakes: dict[Place, str] = field(default_factory=dict)

    def of(self, value: Any, place: Place = ()) -> Any:
        """Expand a value of the document."""
        if len(place) > MAX_DEPTH:
            self._refuse(place, f"nested too deeply; at most {MAX_DEPTH} levels")
            return None
        match value:
            case str():
                return self._text(value, place)
            case list():
                return [self.of(element, (*place, index)) for index, element in enumerate(value)]
            case _Object():
                return self._object(value, place)
            case float() if not math.isfinite(value):
                self._refuse(place, "not a finite number; must be a number of less than 300 digits")
                return None
        return value

    def _refuse(self, place: Place, text: str) -> None:
        self.mistakes.setdefault(place, text)

    def _object(self, value: _Object, place: Place) -> dict[str, Any]:
        for name in value.repeated:
            self._refuse((*place, name), "given more than once; must be there once")
        expanded = {}
        for name, member in value.items():
            if _is_unicode(name):
                expanded[name] = self.of(member, (*place, name))
            else:
                self._refuse((*place, name), "half a surrogate pair in the key; must be Unicode")
        return expanded

    def _text(self, text: str, place: Place) -> str | None:
        if not _is_unicode(text):
            self._refuse(place, "half a surrogate pair; must be Unicode")
            return None
        expanded, copied, spans = "", 0, []
        for dollar in _DOLLAR.finditer(text):
            expanded += text[copied : dollar.start()]
            copied = dollar.end()
            value = "$" if dollar[0] == "$$" else self._variable(dollar["name"], place)
            if value is None:
                return None
            if dollar["name"]:
                spans.append((len(expanded), len(expanded) + len(value)))
            expanded += value
        return Expanded(expanded + text[copied:], tuple(spans)) if spans else expanded + text[copied:]

    def _variable(self, name: str | None, place: Place) -> str | None:
        value = None if name is None else self.environ.get(name)
        if name is None:
            self._refuse(place, "a ${ that names no variable; must be ${NAME}, or $$ for a dollar")
        elif value is None:
            self._refuse(place, f"environment variable {name} is not set; must be set, or $$ for a dollar")
        elif not _is_unicode(value):
            self._refuse(place, f"environment variable {name} is not UTF-8; must be UTF-8")
            return None
        return value


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
