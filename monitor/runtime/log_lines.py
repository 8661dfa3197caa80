"""Log lines that nobody can forge, to a descriptor that nobody may read, and lines that others can cause."""

import json
import logging
import math
import os
import select
import stat
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from fcntl import F_GETFL, F_SETFL, fcntl
from types import TracebackType

from monitor.runtime.text import counted, cut, printable

_SELDOM_S = 60.0
MAX_LENGTH = 10_000  # characters of a line

_Error = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


_COLOURS = {
    logging.DEBUG: "\x1b[2m",  # faint
    logging.INFO: "\x1b[32m",  # green
    logging.WARNING: "\x1b[33m",  # yellow
    logging.ERROR: "\x1b[31m",  # red
    logging.CRITICAL: "\x1b[1;31m",  # bold red
}
_END = "\x1b[0m"


class LineFormatter(logging.Formatter):
    """Writes an event on one printable line, cut at `MAX_LENGTH`; the lines of a traceback follow.

    Sites, databases and brokers send texts that would end a line, or change what a terminal shows.
    """

    def __init__(self, *, has_colours: bool = False) -> None:
        super().__init__()
        self._has_colours = has_colours

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - as `logging` has it
        level = record.levelname
        if self._has_colours:
            level = f"{_COLOURS.get(record.levelno, '')}{level}{_END}"
        return f"{self.formatTime(record)} {level} {_line(record.message)}"

    def formatException(self, ei: _Error) -> str:  # noqa: N802 - as `logging` has it
        return "\n".join(map(_line, super().formatException(ei).split("\n")))


class JsonFormatter(LineFormatter):
    """Writes an event as one JSON object in ASCII on one line, with the traceback of its exception in it."""

    def format(self, record: logging.LogRecord) -> str:
        event = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _line(record.getMessage()),
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return json.dumps(event)


def has_colours(descriptor: int, environ: Mapping[str, str]) -> bool:
    """Return whether what is written there is to have colours: on a terminal, unless `NO_COLOR` is set."""
    return os.isatty(descriptor) and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


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
        if regular:  # who shortens the file (`copytruncate`) gets no hole as long as what was there
            fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | os.O_APPEND)
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, and how many were dropped before it."""
        try:
            text = self.format(record)
            if self._missed:
                text = f"\n{self.format(_missed(self._missed))}\n{text}"
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


def _missed(number: int) -> logging.LogRecord:
    text = f"{counted(number, 'line')} missed, since nobody read the log"
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, None, None)


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
