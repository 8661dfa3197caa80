"""The API's answers as tables. Pure."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def columns(row: type[msgspec.Struct], without: Sequence[str] = ()) -> list[str]:
    """Name the columns of such rows."""
    return [name for name in row.__struct_fields__ if name not in without]


def table(rows: Iterable[Any], names: Sequence[str], *, head: bool = True) -> bytes:
    """Write rows of a table (RFC 4180).

    A text that a spreadsheet would take for a formula, as a site could want it to, begins with an apostrophe.
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
