"""A JSON document that a person wrote: it is read, and `${NAME}` is replaced; each mistake has its place."""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitor.config.files import read_text
from monitor.config.public_url import Expanded

MAX_BYTES = 16_000_000
_MAX_DIGITS = 300  # a float ends at 1.8e308

JsonPlace = tuple[str | int, ...]
PlacedMistake = tuple[JsonPlace, str]

_DOLLAR = re.compile(r"\$(?:\$|\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)\})?)")


class InvalidJsonError(ValueError):
    """The text is no JSON; the message says where."""


class _Object(dict[str, Any]):
    """A JSON object; `repeated` are the keys that it has more than once."""

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
        document = json.loads(text, object_pairs_hook=_Object, parse_int=_whole_number)
        json.dumps(document, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise InvalidJsonError(f"not JSON ({where}: {error.msg}); must be a JSON object") from error
    except UnicodeEncodeError as error:
        raise InvalidJsonError("half a surrogate pair inside; must be Unicode") from error
    return document


@dataclass(slots=True)
class Expansion:
    """Replaces `${NAME}` by environment variables and `$$` by a dollar, in strings, not in keys.

    `mistakes` has what is wrong, by its place; the result has `None` there.
    """

    environ: Mapping[str, str]
    mistakes: dict[JsonPlace, str] = field(default_factory=dict)

    def of(self, value: Any, place: JsonPlace = ()) -> Any:
        """Return a value of the document, expanded."""
        match value:
            case str():
                return self._text(value, place)
            case list():
                return [self.of(element, (*place, index)) for index, element in enumerate(value)]
            case _Object():
                return self._object(value, place)
        return value

    def _refuse(self, place: JsonPlace, text: str) -> None:
        self.mistakes.setdefault(place, text)

    def _object(self, value: _Object, place: JsonPlace) -> dict[str, Any]:
        for name in value.repeated:
            self._refuse((*place, name), "given more than once; must be there once")
        return {name: self.of(member, (*place, name)) for name, member in value.items()}

    def _text(self, text: str, place: JsonPlace) -> str | None:
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

    def _variable(self, name: str | None, place: JsonPlace) -> str | None:
        value = None if name is None else self.environ.get(name)
        if name is None:
            self._refuse(place, "a ${ that names no variable; must be ${NAME}, or $$ for a dollar")
        elif value is None:
            self._refuse(place, f"environment variable {name} is not set; must be set, or $$ for a dollar")
        elif any("\ud800" <= each <= "\udfff" for each in value):  # how Python reads other bytes
            self._refuse(place, f"environment variable {name} is not UTF-8; must be UTF-8")
            return None
        return value
