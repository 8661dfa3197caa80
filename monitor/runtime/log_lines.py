"""Log lines to a file descriptor that nobody may read any more."""

import logging
import os
import select
import stat


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
