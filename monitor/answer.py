"""What a command answers on stdout, which may be full, gone, or short of characters."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper


class AnswerError(Exception):
    """The answer could not be printed; says why, in one line."""


@contextmanager
def answer() -> Iterator[None]:
    """Print the answer in here: characters that stdout does not know are escaped.

    Raises:
        AnswerError: stdout does not take it.

    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        yield
        print(end="", flush=True)  # noqa: T201 - what is written may not have arrived
    except OSError as error:
        # Python writes what is left once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise AnswerError(f"the answer cannot be printed: {error.strerror}") from error
