"""Regular expressions of RE2: a search takes time in proportion to the text, whatever the text is."""

from typing import Protocol, cast

import re2

from monitor.runtime.text import quoted

# The time of a search, for each byte of text, grows with the size of the compiled pattern.
MAX_SIZE = 10_000

# The errors of RE2 that quote only what is not supported; others quote the whole expression.
_SHOWS_SYNTAX = {"invalid perl operator", "invalid escape sequence"}

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
        raise ValueError(_told(error.args[0].decode("utf-8", "replace"))) from error
    if compiled.programsize > MAX_SIZE:
        raise ValueError("too large")
    return compiled


def _told(error: str) -> str:
    what, _, where = error.partition(": ")
    return f"{quoted(where)} is not supported" if what in _SHOWS_SYNTAX else what
