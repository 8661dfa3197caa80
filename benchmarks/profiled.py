"""The program, with samples of where its CPU time goes: `python -m benchmarks.profiled OUT --config PATH`.

SIGUSR1 begins. SIGUSR2 ends, and writes to OUT, in JSON, the CPU seconds of each part. Linux only.

Each few milliseconds of the main thread's CPU time a sample looks at its stack, and counts for the innermost
frame that belongs to a part; small parts differ from run to run. The outbox has a thread of its own, with a
clock of its own.
"""

import ctypes
import json
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dis import opmap
from pathlib import Path
from types import FrameType

from monitor.cli import main

OUTBOX = "collector, outbox"
EVENT_LOOP = "event loop, sockets"
OTHER_THREADS = "other threads"

# Where code is (file:function), and the part that it belongs to. The longest beginning counts.
PARTS = {
    "monitor/schedule.py": "schedule",
    "monitor/runtime/shared_sleep.py": "schedule",
    "monitor/probe/": "exchange",
    "monitor/probe/judging/": "judge",
    "monitor/result.py:encode": "encode",
    "monitor/result.py:decode": "decode",
    "monitor/delivery/batches.py": "decode",
    "monitor/delivery/outbox/collector.py": OUTBOX,
    "monitor/delivery/outbox": OUTBOX,
    "monitor/delivery/": "forwarder, produce",
    "aiokafka/producer/": "forwarder, produce",
    "monitor/delivery/ingest.py": "consumer, fetch",
    "monitor/delivery/offsets.py": "consumer, fetch",
    "aiokafka/consumer/": "consumer, fetch",
    "aiokafka/coordinator/": "consumer, fetch",
    "monitor/storage/": "rows, COPY",
    "monitor/incidents/": "incidents, sums",
    "monitor/uptime/": "incidents, sums",
    "monitor/alerts/": "alerts",
    "monitor/web/metrics/": "metrics",
    "monitor/web/": "web",
}
# For stacks in which none of these is.
SHARED = {
    "monitor/": "rest of the program",
    "aiokafka/": "aiokafka, for both sides",
    "asyncpg/": "rows, COPY",
    "aiohttp/": "web",
}
_EVERY_NS = 1_000_000  # Linux looks at its ticks only: mostly each 4 ms


class Sampler:
    """Samples the stack of the main thread by the main thread's CPU time."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._samples: Counter[str] = Counter()
        self._began: dict[str, float] = {}
        signal.signal(signal.SIGUSR1, self.begin)
        signal.signal(signal.SIGUSR2, self.end)
        signal.signal(signal.SIGPROF, self._sample)

    def begin(self, _number: int, _frame: FrameType | None) -> None:
        self._began = _clocks()
        self._timer = _ThreadTimer(_EVERY_NS)

    def end(self, _number: int, _frame: FrameType | None) -> None:
        self._timer.stop()
        used = {name: ended - self._began[name] for name, ended in _clocks().items()}
        main_s = used.pop("main")
        parts = dict.fromkeys([*PARTS.values(), *SHARED.values(), EVENT_LOOP], 0.0)
        for part, count in self._samples.items():
            parts[part] += main_s * count / self._samples.total()
        parts[OUTBOX] += used[OUTBOX]
        parts[OTHER_THREADS] = max(0.0, used[OTHER_THREADS])
        unfinished = self._out.with_suffix(".part")
        unfinished.write_text(json.dumps(parts))
        unfinished.rename(self._out)

    def _sample(self, _number: int, frame: FrameType | None) -> None:
        self._samples[_part(frame)] += 1


class _ThreadTimer:
    """Sends SIGPROF each time that this thread has used so much CPU time. `setitimer` counts all threads."""

    def __init__(self, every_ns: int) -> None:
        self._c = ctypes.CDLL(None)
        self._id = ctypes.c_void_p()
        event = (ctypes.c_int * 16)(0, 0, signal.SIGPROF)  # struct sigevent: notify by a signal
        self._c.timer_create(time.CLOCK_THREAD_CPUTIME_ID, event, ctypes.byref(self._id))
        self._c.timer_settime(self._id, 0, (ctypes.c_long * 4)(0, every_ns, 0, every_ns), None)

    def stop(self) -> None:
        self._c.timer_delete(self._id)


def _clocks() -> dict[str, float]:
    """Return the CPU seconds of the main thread, of the outbox's, and of all others."""
    main_s, all_s = time.thread_time(), time.process_time()
    outbox_s = sum(
        time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
        for thread in threading.enumerate()
        if thread.ident and thread.name.startswith("outbox")
    )
    return {"main": main_s, OUTBOX: outbox_s, OTHER_THREADS: all_s - main_s - outbox_s}


def _part(frame: FrameType | None) -> str:
    stack = list(_called_by_loop(frame))
    if len(stack) == 1 and _has_just_begun(stack[0]):
        return EVENT_LOOP
    places = [_place(each) for each in stack]
    found = (_longest(table, place) for table in (PARTS, SHARED) for place in places)
    return next(filter(None, found), EVENT_LOOP)


def _called_by_loop(frame: FrameType | None) -> Iterator[FrameType]:
    """Return the frames below the event loop's, innermost first."""
    while frame is not None and not frame.f_code.co_filename.endswith("asyncio/runners.py"):
        yield frame
        frame = frame.f_back


def _has_just_begun(frame: FrameType) -> bool:
    """Return whether nothing of a call has run yet: what took the time was before it.

    Python handles a signal that came in the loop's own C code, such as the read of a socket, there.
    """
    return frame.f_code.co_code[frame.f_lasti] == opmap["RESUME"]


def _place(frame: FrameType) -> str:
    name = frame.f_code.co_filename
    for package in ("monitor/", "aiokafka/", "asyncpg/", "aiohttp/"):
        _, found, rest = name.rpartition(f"/{package}")
        if found:
            return f"{package}{rest}:{frame.f_code.co_name}"
    return name


def _longest(table: dict[str, str], place: str) -> str | None:
    beginnings = [beginning for beginning in table if place.startswith(beginning)]
    return table[max(beginnings, key=len)] if beginnings else None


if __name__ == "__main__":
    Sampler(Path(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
