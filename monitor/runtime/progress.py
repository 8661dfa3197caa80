"""Whether the stages make progress, and since when a server of ours takes nothing.

Work that does not end is stalled, and it is known what it waits for.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Hashable
from typing import NamedTuple

from monitor.runtime.waiting import one_line

_STALLED_S = 60.0
_LOOK_S = 1.0

_log = logging.getLogger(__name__)


class Stalled(NamedTuple):
    """A stage with work that should have ended, and for how many seconds it has run."""

    stage: str
    waits_for: str
    seconds: float


class _Work(NamedTuple):
    waits_for: str
    began: float
    usual_s: float


class Progress:
    """The work of one stage; a stage without work has begun nothing."""

    def __init__(self, stage: str, now: Callable[[], float] = time.monotonic) -> None:
        self.stage = stage
        self._now = now
        self._under_way: dict[Hashable, _Work] = {}

    def begin(self, waits_for: str, work: Hashable = None, usual_s: float = 0.0) -> None:
        """Note what the work waits for now, which may take `usual_s`; work that has begun keeps its start."""
        before = self._under_way.get(work)
        self._under_way[work] = _Work(waits_for, before.began if before else self._now(), usual_s)

    def end(self, work: Hashable = None) -> None:
        """Note that the work is done; without such work, nothing changes."""
        self._under_way.pop(work, None)

    def stalled(self, limit_s: float) -> Stalled | None:
        """Return the oldest work that has taken `limit_s` longer than is usual."""
        now = self._now()
        for work in self._under_way.values():
            if now - work.began >= work.usual_s + limit_s:
                return Stalled(self.stage, work.waits_for, now - work.began)
        return None


class Watch:
    """Logs when a stage makes no progress, and when it does again."""

    def __init__(self, limit_s: float = _STALLED_S) -> None:
        self._limit_s = limit_s
        self._stages: list[Progress] = []
        self._logged: dict[str, Stalled] = {}

    def add(self, *stages: Progress) -> None:
        """Watch these stages too; no two have the same name."""
        self._stages += stages

    def stalled(self) -> list[Stalled]:
        """Return the stages that make no progress now."""
        return [found for stage in self._stages if (found := stage.stalled(self._limit_s))]

    def look(self) -> None:
        """Log what has changed since the last call."""
        now = {each.stage: each for each in self.stalled()}
        for stage, (_, waits_for, seconds) in now.items():
            if stage not in self._logged:
                _log.warning("%s has made no progress for %.0f s, it waits for %s", stage, seconds, waits_for)
        for stage, (_, waits_for, _) in self._logged.items():
            if stage not in now:
                _log.info("%s makes progress again, it had waited for %s", stage, waits_for)
        self._logged = now

    async def run(self) -> None:
        """Call `look` once a second, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_LOOK_S)


class Availability:
    """Since when one server is unavailable, and why; `name` is what people call it."""

    def __init__(self, name: str, address: str = "") -> None:
        self.name = name
        self.address = address
        self.unavailable_since_at: float | None = None
        """Unix seconds of the first attempt that failed; none while attempts succeed."""
        self.why = ""
        """What the last attempt failed with, in one line that names the server's address."""

    def failed(self, error: BaseException) -> str:
        """Note that an attempt failed; return why, in one line that names the server's address."""
        if self.unavailable_since_at is None:
            self.unavailable_since_at = time.time()
        self.why = self.reason(error)
        return self.why

    def reason(self, error: BaseException) -> str:
        """Return the error in one line that names the server's address."""
        is_silence = isinstance(error, TimeoutError) and not str(error)
        line = "no answer in time" if is_silence else one_line(error)
        is_named = any(address in line for address in self.address.split(","))
        return line if is_named else f"{self.address}: {line}"

    def succeeded(self) -> bool:
        """Note that an attempt succeeded; return whether the one before had failed."""
        was_unavailable, self.unavailable_since_at = self.unavailable_since_at is not None, None
        return was_unavailable
