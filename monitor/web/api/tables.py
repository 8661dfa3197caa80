"""The API's answers as CSV. Pure."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def columns(row: type[msgspec.Struct], without: Sequence[str] = ()) -> list[str]:
    return [name for name in row.__struct_fields__ if name not in without]


def table(rows: Iterable[Any], names: Sequence[str], *, head: bool = True) -> bytes:
    """Return rows as CSV (RFC 4180), with a head of their names.

    A site could send a text that a spreadsheet takes for a formula: such a text gets an apostrophe in front.
    """
    written = io.StringIO()
    writer = csv.writer(written)
    if head:
        writer.writerow(names)
    writer.writerows([_cell(getattr(row, name)) for name in names] for row in rows)
    return written.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        value = ", ".join(value)
    if isinstance(value, str) and value.startswith(_BEGINS_FORMULA):
        return f"'{value}"
    return value
