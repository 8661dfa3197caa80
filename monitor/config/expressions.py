"""Regular expressions and JMESPath of the configuration, compiled once.

Regular expressions are RE2's: a search takes time in proportion to the text, whatever the text is.
Each mistake is a `ValueError` of the form `what is wrong; what is allowed`. None shows a value.
"""

import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, cast

import jmespath  # type: ignore[import-untyped]
import re2

from monitor.config.rules import string
from monitor.runtime.text import quoted

# The time of a search, for each byte of text, grows with the size of the compiled pattern.
MAX_SIZE = 10_000

# The errors of RE2 that quote only what is not supported; others quote the whole expression.
_SHOWS_SYNTAX = {"invalid perl operator", "invalid escape sequence"}

_REGEX = "a regular expression of RE2, which has no look-around and no back-references"

_OPTIONS = re2.Options()
_OPTIONS.never_capture = True
_OPTIONS.log_errors = False


class Pattern(Protocol):
    """A compiled regular expression."""

    @property
    def programsize(self) -> int:
        """How many instructions it has."""

    def search(self, text: bytes) -> object | None:
        """Return whether UTF-8 text has it; invalid bytes match nothing."""


def compile_pattern(pattern: str) -> Pattern:
    """Return the compiled regular expression.

    Raises:
        ValueError: the text says what is wrong, without showing the expression.

    """
    try:
        compiled = cast("Pattern", re2.compile(pattern, _OPTIONS))
    except re2.error as error:
        what, _, where = error.args[0].decode("utf-8", "replace").partition(": ")
        mistake = f"{quoted(where)} is not supported" if what in _SHOWS_SYNTAX else what
        raise ValueError(mistake) from error
    if compiled.programsize > MAX_SIZE:
        raise ValueError("too large")
    return compiled


def check_regex(pattern: object) -> str:
    """Allow what RE2 compiles; what came from the environment stays marked as such."""
    written = string(pattern, _REGEX)
    try:
        compile_pattern(written)
    except ValueError as error:
        raise ValueError(f"{error}; must be {_REGEX}") from error
    return written


def check_jmespath(expression: object) -> str:
    """Allow what parses and calls only functions that exist; keep the marks of the environment."""
    written = string(expression, "a JMESPath expression")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            functions = set(_functions(jmespath.compile(written).parsed))
    except (jmespath.exceptions.JMESPathError, ValueError, RecursionError) as error:
        raise ValueError("does not parse; must be a JMESPath expression") from error
    if not functions <= set(jmespath.functions.Functions.FUNCTION_TABLE):
        raise ValueError("calls an unknown function; must be a JMESPath expression with its own functions")
    return written


def _functions(node: Mapping[str, Any]) -> Iterator[str]:
    if node["type"] == "function_expression":
        yield node["value"]
    for child in node["children"]:
        if isinstance(child, dict):
            yield from _functions(child)
