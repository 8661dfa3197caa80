"""Sessions that people have ended, for as long as their cookies would still be valid.

They are stored in a file, so that they stay ended after a restart. The file has no secrets: the name of a
session is worth nothing without its signature.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_log = logging.getLogger(__name__)


class EndedSessions:
    """Names of ended sessions, each until it would expire (Unix seconds)."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        self._file = file
        self._clock = clock
        self._until = dict(_read(file))
        self._writing = asyncio.Lock()

    def __contains__(self, session: str) -> bool:
        return session in self._until

    async def add(self, session: str, until: float) -> None:
        """End this session; if the file cannot be written, it is ended only until this process stops."""
        now = self._clock()
        self._until = {name: at for name, at in self._until.items() if at > now} | {session: until}
        async with self._writing:
            text = "".join(f"{at:.0f} {name}\n" for name, at in self._until.items())
            try:
                await asyncio.to_thread(_write, self._file, text)
            except OSError as error:
                _log.warning("cannot store that a session has ended: %s", error.strerror)


def _read(file: Path) -> Iterator[tuple[str, float]]:
    try:
        text = file.read_text("ascii", "replace")
    except FileNotFoundError:
        return
    except OSError as error:
        _log.warning("cannot read which sessions have ended: %s", error.strerror)
        return
    for line in text.splitlines():
        at, _, name = line.partition(" ")
        if at.isdigit():
            yield name, float(at)


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.write_text(text, "ascii")
    fresh.replace(file)
