"""The API's answers as CSV. Pure."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

# Where a spreadsheet may see the beginning of a formula: Excel splits at semicolons, too, in half of Europe.
# There, two quotes are an empty text before the rest of the cell; that is how CSV has one quote of a text.
_FORMULA = re.compile(
    r"\A(?=[=+\-@\t\r\n\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}"
    r"\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}])|(?<=[;\t\r\n])(?=\"*[=+\-@])"
)


def columns(row: type[msgspec.Struct], without: Sequence[str] = ()) -> list[str]:
    return [name for name in row.__struct_fields__ if name not in without]


def table(rows: Iterable[Any], names: Sequence[str], *, head: bool = True) -> bytes:
    """Return rows as CSV (RFC 4180), with a head of their names; `silence.who` is a field of a field.

    A site could send a text that a spreadsheet takes for a formula: there, it gets an apostrophe in front.
    """
    written = io.StringIO()
    writer = csv.writer(written)
    if head:
        writer.writerow(name.replace(".", "_") for name in names)
    paths = [name.split(".") for name in names]
    writer.writerows([_cell(_field(row, path)) for path in paths] for row in rows)
    return written.getvalue().encode("utf-8", "replace")


def _field(row: Any, path: Sequence[str]) -> Any:
    for name in path:
        row = None if row is None else getattr(row, name)
    return row


def _cell(value: Any) -> Any:
    match value:
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            value = ", ".join(map(str, value))
        case dict():
            value = ", ".join(f"{name}={text}" for name, text in value.items())
    return _FORMULA.sub("'", value) if isinstance(value, str) else value
