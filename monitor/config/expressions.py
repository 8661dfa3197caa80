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


def _options(*, never_capture: bool) -> Any:
    options = re2.Options()
    options.never_capture = never_capture
    options.log_errors = False
    return options


_OPTIONS = _options(never_capture=True)
_CAPTURING = _options(never_capture=False)


class Pattern(Protocol):
    """A compiled regular expression."""

    @property
    def programsize(self) -> int:
        """How many instructions it has."""

    def search(self, text: bytes) -> object | None:
        """Return whether UTF-8 text has it; invalid bytes match nothing."""


class Match(Protocol):
    """What a capturing expression has found."""

    def group(self, number: int) -> bytes | None:
        """Return what the group has matched, if it has."""


class CapturingPattern(Protocol):
    """A compiled regular expression that knows what its groups have matched."""

    @property
    def programsize(self) -> int:
        """How many instructions it has."""

    @property
    def groups(self) -> int:
        """How many groups it has."""

    def search(self, text: bytes) -> Match | None:
        """Return the first match in UTF-8 text; invalid bytes match nothing."""


def compile_pattern(pattern: str) -> Pattern:
    """Return the compiled regular expression.

    Raises:
        ValueError: the text says what is wrong, without showing the expression.

    """
    return cast("Pattern", _compiled(pattern, _OPTIONS))


def compile_capturing(pattern: str) -> CapturingPattern:
    """Return the compiled regular expression, which keeps what its groups match.

    Raises:
        ValueError: the text says what is wrong, without showing the expression.

    """
    return cast("CapturingPattern", _compiled(pattern, _CAPTURING))


def _compiled(pattern: str, options: Any) -> Any:
    try:
        compiled = re2.compile(pattern, options)
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


def check_capturing_regex(pattern: object) -> str:
    """Allow what RE2 compiles, with one group; what came from the environment stays marked as such."""
    written = check_regex(pattern)
    if compile_capturing(written).groups != 1:
        raise ValueError("not one group in parentheses; must have one, and may have groups like (?:…)")
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
