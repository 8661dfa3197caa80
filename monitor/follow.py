"""The configuration file, looked at again and again while the program runs."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from monitor.config import Config, Monitor
from monitor.config_difference import LIVE, difference
from monitor.config_load import ConfigError, load
from monitor.connectivity import Connectivity, GuardedProbe
from monitor.probe import Checker, Probe
from monitor.probe_addresses import AddressesProbe
from monitor.probe_connector import Network
from monitor.schedule import Schedule

log = logging.getLogger(__name__)


class Following:
    """What the running program does, held to what the file says.

    Each function of `on_taken` is called with the configuration when it has changed.
    """

    def __init__(
        self,
        config: Config,
        path: Path,
        environ: Mapping[str, str],
        network: Network,
        on_taken: Iterable[Callable[[Config], None]] = (),
    ) -> None:
        self.last_successful = True  # the last reading of the file
        self.taken_at = time.time()  # of the last one that was
        self._config = config
        self._path = path
        self._environ = environ
        self._network = network
        self._on_taken = on_taken
        self._connectivity = Connectivity(config.connectivity_check, network)
        self._seen: tuple[int, int, int] | None = None
        self._looked = False  # the file may have changed since the program read it

    def checkers(self, monitors: Iterable[Monitor]) -> Iterator[tuple[Monitor, Checker]]:
        """Make a probe for each monitor that is not paused."""
        for monitor in monitors:
            if not monitor.paused:
                probe = AddressesProbe if monitor.addresses == "all" else Probe
                checker = probe(monitor, self._config.location, self._network)
                yield monitor, GuardedProbe(checker, self._connectivity)

    async def look(self, schedule: Schedule, *, now: bool) -> None:
        """Read the file again if it changed, or at once if `now`; mistakes in it change nothing."""
        signature = self._signature()
        if not now and signature in (None, self._seen):
            return
        first = not (now or self._looked)
        self._looked = True
        self._seen = signature
        try:
            config = await asyncio.to_thread(load, self._path, self._environ)
        except ConfigError as error:
            self.last_successful = False
            for mistake in error.mistakes:
                log.error("configuration not taken: %s", mistake)  # noqa: TRY400 - no bug, no traceback
            return
        self.last_successful = True
        self.taken_at = time.time()
        if not (first and config == self._config):
            self._take(config, schedule)

    def _take(self, config: Config, schedule: Schedule) -> None:
        change = difference(self._config, config)
        before = {monitor.name: monitor for monitor in self._config.monitors}
        for name in change.removed:
            if not before[name].paused:
                schedule.remove(name)
        schedule.add(self.checkers(change.added))
        self._connectivity.target = config.connectivity_check
        logging.getLogger().setLevel(config.log_level.upper())
        log.info("configuration taken: %d monitors removed, %d added", len(change.removed), len(change.added))
        tell(change.added)
        if change.needs_restart:
            log.warning("these keys take effect at the next start: %s", ", ".join(change.needs_restart))
        self._config = self._config.model_copy(update={key: getattr(config, key) for key in LIVE})
        for take in self._on_taken:
            take(self._config)

    def _signature(self) -> tuple[int, int, int] | None:
        """Tell one state of the file from another; `None` while it is not there."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


def tell(monitors: Iterable[Monitor]) -> None:
    """Log what is monitored."""
    for monitor in monitors:
        state = "paused" if monitor.paused else f"every {monitor.interval_s:g} s"
        log.info("monitor %s: %s, %s", monitor.name, monitor.public_url, state)
