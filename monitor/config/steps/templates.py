"""Texts of steps, in which `{{NAME}}` stands for a value that an earlier step has saved. Pure.

What came from the environment or a file is taken as it is: a password may contain such marks.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple
from urllib.parse import quote

from monitor.config.addresses import check_url
from monitor.config.public_url import Expanded
from monitor.config.rules import string

_MARK = re.compile(r"\{\{(?:\s*(?P<name>[A-Za-z_][A-Za-z0-9_-]*)\s*\}\})?")
_ENDS_BEFORE_A_PORT = re.compile(r"[^:]+://[^/?#]*:\Z")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Part(NamedTuple):
    """A part of a text: as it is written, from the environment or a file, or the name of a value."""

    text: str
    outside: bool = False
    is_name: bool = False
    """The text is the name; empty where the braces have none."""


def pieces(text: str) -> Iterator[tuple[str, bool]]:
    """Return the parts of a text, each with whether it came from the environment or a file."""
    end = 0
    for start, stop in text.spans if isinstance(text, Expanded) else ():
        yield text[end:start], False
        yield text[start:stop], True
        end = stop
    yield text[end:], False


def joined(parts: Iterable[tuple[str, bool]]) -> str:
    """Return the text of such parts; what came from the environment or a file stays marked."""
    text, spans = "", []
    for part, outside in parts:
        if outside:
            spans.append((len(text), len(text) + len(part)))
        text += part
    return Expanded(text, tuple(spans)) if spans else text


def parts_of(text: str) -> Iterator[Part]:
    for piece, outside in pieces(text):
        end = 0
        for mark in () if outside else _MARK.finditer(piece):
            yield Part(piece[end : mark.start()])
            yield Part(mark["name"] or "", is_name=True)
            end = mark.end()
        yield Part(piece[end:], outside)


def names_in(text: str) -> list[str]:
    """Return the names of values in a text; an empty one for braces without a name."""
    return [part.text for part in parts_of(text) if part.is_name]


def filled(text: str, values: Mapping[str, str], encoded: Callable[[str], str] = str) -> str:
    """Return the text with the values in the places of their names; they are marked as from outside."""
    return joined(
        (encoded(values[part.text]), True) if part.is_name else (part.text, part.outside)
        for part in parts_of(text)
    )


def filled_url(url: str, values: Mapping[str, str]) -> str:
    """Return the URL with the values in the places of their names.

    After a question mark, values are encoded; before it they are not: a value may be a path.
    """
    filled_in: list[tuple[str, bool]] = []
    is_query = False
    for part in parts_of(url):
        text = values[part.text] if part.is_name else part.text
        filled_in.append(
            (quote(text, safe="") if part.is_name and is_query else text, part.outside or part.is_name)
        )
        is_query = is_query or "?" in text
    return joined(filled_in)


def beginning(url: str) -> str:
    """Return the URL up to the first saved value; scheme, host and port are in it."""
    kept: list[tuple[str, bool]] = []
    for part in parts_of(url):
        if part.is_name:
            break
        kept.append((part.text, part.outside))
    return joined(kept)


def check_step_url(value: object) -> str:
    """Allow URLs of HTTP with a host; saved values may stand after the host."""
    url = string(value, "a URL")
    if names_in(url):
        try:
            _check_place(beginning(url))
        except ValueError as error:
            raise ValueError("a saved value in the scheme, host or port; must come after them") from error
    check_url("".join("/" if part.is_name else part.text for part in parts_of(url)))
    return url


def _check_place(url: str) -> None:
    check_url(url)
    if _ENDS_BEFORE_A_PORT.match(url):  # or before a password
        raise ValueError("no port")


def check_value_name(name: str) -> str:
    """Allow what can stand in the braces."""
    if not _NAME.fullmatch(name):
        raise ValueError("not the name of a value; must be letters, digits, _ and -, with a letter first")
    return name
