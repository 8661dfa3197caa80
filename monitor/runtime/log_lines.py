"""Log lines that nobody can forge, to a descriptor that nobody may read, and lines that others can cause."""

import logging
import math
import os
import select
import stat
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType

from monitor.runtime.text import cut, printable

_SELDOM_S = 60.0
MAX_LENGTH = 10_000  # characters of a line

_Error = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class LineFormatter(logging.Formatter):
    """Writes an event on one printable line, cut at `MAX_LENGTH`; the lines of a traceback follow.

    Sites, databases and brokers send texts that would end a line, or change what a terminal shows.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - as `logging` has it
        return _line(super().formatMessage(record))

    def formatException(self, ei: _Error) -> str:  # noqa: N802 - as `logging` has it
        return "\n".join(map(_line, super().formatException(ei).split("\n")))


def _line(text: str) -> str:
    return cut(printable(text[: MAX_LENGTH + 1]), MAX_LENGTH)


class LineHandler(logging.Handler):
    """Writes one line an event. When nobody reads for `patience_s`, lines are dropped: the program goes on.

    A full pipe, or a stopped terminal, would otherwise stop all checks, and the end of the program too.
    """

    def __init__(self, descriptor: int, encoding: str = "utf-8", patience_s: float = 1.0) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._encoding = encoding
        self._patience_ms = patience_s * 1_000
        self._missed = 0
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._part = 1 << 30 if regular else select.PIPE_BUF
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, and how many were dropped before it."""
        try:
            text = self.format(record)
            if self._missed:
                text = f"\n{self._missed} lines were missed, since nobody read them\n{text}"
            whole = self._write(f"{text}\n".encode(self._encoding, "backslashreplace"))
        except OSError:
            return  # the reader is gone for good
        except Exception:  # noqa: BLE001 - as `logging` wants it
            self.handleError(record)
            return
        self._missed = 0 if whole else self._missed + 1

    def _write(self, line: bytes) -> bool:
        """Write the line in parts that fit whenever there is room; return false when there is none."""
        while line:
            if not self._poll.poll(0 if self._missed else self._patience_ms):
                return False
            line = line[os.write(self._descriptor, line[: self._part]) :]
        return True


class Seldom:
    """Logs an event of each kind once a minute at most, and how many were left out in between.

    For events that somebody outside can cause as often as he likes. There must be a bounded number of kinds.
    """

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = log
        self._clock = clock
        self._logged_at: dict[str, float] = {}
        self._left_out: Counter[str] = Counter()

    def log(self, level: int, kind: str, text: str, error: BaseException | None = None) -> None:
        """Log the text, with the traceback of the error if there is one."""
        now = self._clock()
        if now - self._logged_at.get(kind, -math.inf) < _SELDOM_S:
            self._left_out[kind] += 1
            return
        more = self._left_out.pop(kind, 0)
        self._logged_at[kind] = now
        also = f" ({more} more since the last such line)" if more else ""
        self._logger.log(level, "%s%s", text, also, exc_info=error)
