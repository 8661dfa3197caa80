"""The parameters of the API's requests: what each allows, how it is described, and how it is read."""

import math
import re
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from multidict import MultiMapping

from monitor.web.api.operations.problems import Mistake, ProblemError
from monitor.web.queries import Place

MAX_LIMIT = 1_000
_LIMIT = 100
_NUMBER = re.compile(r"-?\d{1,16}(\.\d+)?([eE][-+]?\d{1,3})?", re.ASCII)
_FIRST_AT = datetime.min.replace(tzinfo=UTC).timestamp()
_LAST_AT = math.floor(datetime.max.replace(tzinfo=UTC).timestamp())
_PLACE = struct.Struct(">dq")

INSTANT_ALLOWED = "must be Unix seconds, or a date and time in ISO 8601"
Instant = (
    Annotated[float, msgspec.Meta(ge=_FIRST_AT, le=_LAST_AT)]
    | Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
)
"""An instant in a request's body, as it was written; `body_instant` reads it."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a query; `read` raises `ValueError` where a text is not allowed."""

    name: str
    meaning: str
    allowed: str
    schema: Mapping[str, Any]
    read: Callable[[str], Any]
    default: Any = None
    repeats: bool = False


def instant(name: str, meaning: str, default: float | None = None) -> Parameter:
    """Make a parameter that is an instant; it is read as Unix seconds."""
    number = {"type": "number", "minimum": _FIRST_AT, "maximum": _LAST_AT}
    schema = {"anyOf": [number, {"type": "string", "format": "date-time"}]}
    return Parameter(name, meaning, INSTANT_ALLOWED, schema, read_instant, default)


def choice(name: str, meaning: str, options: Sequence[str], default: str | None = None) -> Parameter:
    schema = {"type": "string", "enum": list(options)} | ({"default": default} if default else {})

    def read(text: str) -> str:
        return options[options.index(text)]

    return Parameter(name, meaning, f"must be one of {', '.join(options)}", schema, read, default)


def text(name: str, meaning: str, *, repeats: bool = False) -> Parameter:
    """Make a parameter that is any text; one that `repeats` is read as a sequence."""
    schema = {"type": "string", "pattern": "^[^\\u0000]*$"}
    allowed = "must be UTF-8 without NUL"
    return Parameter(name, meaning, allowed, schema, _text, () if repeats else "", repeats)


def read_instant(written: str) -> float:
    """Read an instant as Unix seconds; one without a time zone is in UTC.

    Raises:
        ValueError: the text is no instant.

    """
    if _NUMBER.fullmatch(written):
        at = float(written)
    else:
        moment = datetime.fromisoformat(written)
        at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not _FIRST_AT <= at <= _LAST_AT:
        raise ValueError
    return at


def body_instant(name: str, written: float | str) -> float:
    """Read an `Instant` of a request's body, the field of this name.

    Raises:
        ProblemError: it is no instant.

    """
    try:
        return read_instant(f"{written}")
    except ValueError:
        raise ProblemError.about([Mistake(name, INSTANT_ALLOWED)]) from None


def _limit(written: str) -> int:
    if not re.fullmatch(r"0{0,9}\d{1,4}", written, re.ASCII) or not 1 <= int(written) <= MAX_LIMIT:
        raise ValueError
    return int(written)


def _text(written: str) -> str:
    written.encode()
    if "\0" in written:
        raise ValueError
    return written


def _place(written: str) -> Place:
    return Place(*_PLACE.unpack(bytes.fromhex(_matching(r"[0-9a-f]{32}", written))))


def place_cursor(at: float, number: int) -> str:
    """Return the cursor of a list that goes on after the entry with this instant and number."""
    return _PLACE.pack(at, number).hex()


def _name(written: str) -> bytes:
    return bytes.fromhex(_matching(r"([0-9a-f]{2})+", written))


def _matching(pattern: str, written: str) -> str:
    if not re.fullmatch(pattern, written):
        raise ValueError
    return written


def _cursor(pattern: str, read: Callable[[str], Any], default: Any) -> Parameter:
    meaning = "where the list goes on: `next` of the answer before"
    schema = {"type": "string", "pattern": f"^{pattern}$"}
    return Parameter("cursor", meaning, "must be `next` of an earlier answer", schema, read, default)


SINCE = instant("since", "the beginning; by default a day before `until`")
UNTIL = instant("until", "the end, not included; by default now")
LIMIT = Parameter(
    "limit",
    "the largest number of entries",
    f"must be a whole number from 1 to {MAX_LIMIT:,}",
    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": _LIMIT},
    _limit,
    _LIMIT,
)
PLACE_CURSOR = _cursor("[0-9a-f]{32}", _place, Place())
NAME_CURSOR = _cursor("([0-9a-f]{2})+", _name, b"")
FORMAT = choice("format", "the format of the answer", ("json", "csv"), "json")


def read(query: MultiMapping[str], parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Read the parameters of a request: the value of each by its name, or its default.

    Raises:
        ProblemError: a value is not allowed, or there is no such parameter; it names all that is wrong.

    """
    known = {parameter.name: parameter for parameter in parameters}
    allowed = f"is not known; allowed are {', '.join(known)}" if known else "is not known; there are none"
    mistakes = [Mistake(name, allowed) for name in dict.fromkeys(query.keys()) if name not in known]
    asked = {}
    for parameter in parameters:
        try:
            asked[parameter.name] = _value(parameter, query.getall(parameter.name, ()))
        except ValueError:
            once = "" if parameter.repeats else ", once"
            mistakes.append(Mistake(parameter.name, parameter.allowed + once))
    if mistakes:
        raise ProblemError.about(mistakes)
    return asked


def _value(parameter: Parameter, written: Sequence[str]) -> Any:
    if not written:
        return parameter.default
    values = list(map(parameter.read, written))
    if parameter.repeats:
        return values
    (value,) = values
    return value


def names_after(names: Iterable[str], cursor: bytes) -> list[str]:
    """Return the names after the cursor, in the order of their bytes in UTF-8."""
    return sorted((name for name in names if name.encode() > cursor), key=str.encode)


def first_names(names: Sequence[str], limit: int) -> tuple[Sequence[str], str | None]:
    """Return the first names, and the cursor with which the list goes on if there are more."""
    page = names[:limit]
    return page, page[-1].encode().hex() if len(names) > limit else None


def time_range(asked: Mapping[str, Any], now: float, default_s: float) -> tuple[float, float]:
    """Return the instants `since` and `until` that were asked for, or their defaults.

    Raises:
        ProblemError: `since` is not earlier than `until`.

    """
    until = now if asked["until"] is None else asked["until"]
    since = until - default_s if asked["since"] is None else asked["since"]
    if since >= until:
        raise ProblemError.about([Mistake("since", "must be earlier than until (by default now)")], 422)
    return since, until
