"""A request every minute to an outside service, which alerts people when these requests stop.

No program can report its own death. A recent result of this process that has its row in the database shows
that checks, Kafka and PostgreSQL all work. Where other processes of the location make all checks of the
moment, a recent result of theirs shows it.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from operator import attrgetter

import aiohttp
import msgspec
from pydantic import SecretStr

from monitor.alerts.channels.requests import status_of, trouble_of
from monitor.config.model import Config
from monitor.result import CheckResult
from monitor.storage.database import Database, StoreUnavailableError
from monitor.storage.results import is_any_stored, stored

EVERY_S = 60.0
_ON_THE_WAY_S = 10.0  # from the check to the row
_SAMPLE_S = 1.0
_SAMPLES = 600
_LOOKED_AT = 100  # monitors of others
_ANSWER_S = 20.0
_SUCCESS = range(200, 300)

log = logging.getLogger(__name__)


class RecentResults:
    """Recent results of this process, without bodies: one a second, however many monitors there are."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._results: deque[tuple[float, CheckResult]] = deque(maxlen=_SAMPLES)

    def add(self, result: CheckResult) -> None:
        now = self._clock()
        if not self._results or now >= self._results[-1][0] + _SAMPLE_S:
            without_body = msgspec.structs.replace(result, response_data="", evidence=None)
            self._results.append((now, without_body))

    def within(self, seconds: float) -> list[CheckResult]:
        """Return those of the last so many seconds."""
        since = self._clock() - seconds
        return [result for at, result in self._results if at >= since]


async def send_heartbeats(
    recent: RecentResults, database: Database, config: Callable[[], Config], every_s: float = EVERY_S
) -> None:
    """Request `heartbeat_url` once a minute while all works, until cancelled."""
    while True:
        await asyncio.sleep(every_s)
        url = config().heartbeat_url
        if url is not None and await _all_works(recent, database, config()):
            await _request(url)


async def _all_works(recent: RecentResults, database: Database, config: Config) -> bool:
    checked = [monitor for monitor in config.monitors if not monitor.paused]
    turns = [monitor.interval_s + monitor.timeout_s for monitor in checked]
    seconds = max(min(turns, default=0.0) + _ON_THE_WAY_S, EVERY_S)
    results = recent.within(seconds)
    with suppress(StoreUnavailableError):
        if await stored(database, results):
            return True
        if not results and config.shares_checks:
            often = sorted(checked, key=attrgetter("interval_s"))[:_LOOKED_AT]
            names = [monitor.name for monitor in often]
            if await is_any_stored(database, names, config.location, time.time() - seconds):
                return True
    log.warning("no heartbeat: no result of the last minutes is stored")
    return False


async def _request(url: SecretStr) -> None:
    try:
        status = await status_of("GET", url.get_secret_value(), _ANSWER_S)
    except (aiohttp.ClientError, OSError) as error:  # its text may show the URL
        log.warning("the heartbeat did not arrive: %s", trouble_of(error))
        return
    if status not in _SUCCESS:
        log.warning("the heartbeat was answered with %d", status)
