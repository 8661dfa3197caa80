"""The configuration file, read again while the program runs, and what of it takes effect."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from monitor.config.model import Config, Monitor
from monitor.config.reading.load import ConfigError, load
from monitor.config.reading.pieces import included
from monitor.config.sent_secrets import sent_secrets
from monitor.domains.known import Domains
from monitor.probe.all_addresses import AddressesProbe
from monitor.probe.connectivity import Connectivity, GuardedProbe
from monitor.probe.exchange.connector import Network
from monitor.probe.probe import Checker, Probe
from monitor.probe.registration import RegisteredProbe
from monitor.probe.steps.probe import StepsProbe
from monitor.probe.tokens.authorized import AuthorizedProbe
from monitor.probe.tokens.tokens import Token, Tokens
from monitor.runtime.process.signals import Signals
from monitor.runtime.text import counted
from monitor.runtime.waiting import StoppedError, unless_stopped
from monitor.schedule import Schedule

# The keys that take effect without a restart.
LIVE = (
    "include",
    "monitors",
    "groups",
    "alerts",
    "heartbeat_url",
    "own_trouble_after_s",
    "log_level",
    "log_results",
    "connectivity_check",
    "status_page",
    "metrics_histograms",
    "modules",
    "probe_targets",
    "web_port_is_given",
)

log = logging.getLogger(__name__)

_LOOK_S = 1.0
_Signature = dict[Path, tuple[int, int, int]]
_NEVER = (-1, -1, -1)


@dataclass(frozen=True, slots=True)
class Difference:
    """The way from one configuration to another; a monitor that changed is both removed and added."""

    removed: tuple[str, ...]
    added: tuple[Monitor, ...]
    needs_restart: tuple[str, ...]
    """The keys of the file that changed and are not `LIVE`."""


def difference(old: Config, new: Config) -> Difference:
    """Compare two configurations; monitors with the same name are the same monitor."""
    before = {monitor.name: monitor for monitor in old.monitors}
    after = {monitor.name: monitor for monitor in new.monitors}
    same = {name for name, monitor in after.items() if name in before and _same(before[name], monitor)}
    return Difference(
        removed=tuple(name for name in before if name not in same),
        added=tuple(monitor for name, monitor in after.items() if name not in same),
        needs_restart=tuple(
            key for key in Config.model_fields if key not in LIVE and getattr(old, key) != getattr(new, key)
        ),
    )


def _same(one: Monitor, other: Monitor) -> bool:
    return one == other and one.public_url == other.public_url and sent_secrets(one) == sent_secrets(other)


class Reload:
    """Makes the running program do what the configuration file says.

    Each function of `on_taken` is called with the configuration when it has changed.
    """

    def __init__(
        self,
        config: Config,
        path: Path,
        environ: Mapping[str, str],
        network: Network,
        on_taken: Iterable[Callable[[Config], None]] = (),
        domains: Domains | None = None,
    ) -> None:
        self.last_successful = True  # whether the file was valid when it was read last
        self.taken_at = time.time()  # when it was valid last (Unix seconds)
        self._config = config
        self._path = path
        self._environ = environ
        self._network = network
        self._on_taken = on_taken
        self._connectivity = Connectivity(config.connectivity_check, network)
        self._tokens = Tokens(network)
        self._domains = domains or Domains()
        self._domains.follow(config.monitors)
        self._kept_tokens = self._tokens_of_modules()
        self._include = config.include
        self._seen: _Signature = {path: _NEVER}  # when it was read last
        self._looked_at = self._seen  # at the last look
        self._looked = False  # the file may have changed between its reading at the start and the first look

    def checkers(self, monitors: Iterable[Monitor]) -> Iterator[tuple[Monitor, Checker]]:
        """Return a new probe for each monitor that is not paused."""
        for monitor in monitors:
            if not monitor.paused:
                checker: Checker = GuardedProbe(self._checker(monitor), self._connectivity)
                if monitor.min_domain_days is not None and (domain := self._domains.of(monitor.name)):
                    checker = RegisteredProbe(checker, domain, monitor.min_domain_days)
                yield monitor, checker

    def _checker(self, monitor: Monitor) -> Checker:
        if monitor.oauth2 is not None:
            token = self._tokens.of(monitor, monitor.oauth2)
            return AuthorizedProbe(monitor, self._config.location, token, self._checker)
        return _probe_of(monitor)(monitor, self._config.location, self._network)

    def _tokens_of_modules(self) -> list[Token]:
        """Return the tokens that modules need; who keeps them keeps them from one probe to the next."""
        modules = self._config.modules.values()
        return [self._tokens.of(each, each.oauth2) for each in modules if each.oauth2 is not None]

    async def follow(self, schedule: Schedule, signals: Signals) -> None:
        """Look at the file each second, and read it at each SIGHUP, until the program ends.

        A reading that is under way then is given up.
        """
        with suppress(StoppedError):
            while not signals.end.is_set():
                await unless_stopped(signals.end, self.look(schedule, now=signals.take_hangup()))
                await signals.wait(_LOOK_S)

    async def look(self, schedule: Schedule, *, now: bool) -> None:
        """Read the files again if one changed, or in any case if `now`; one with mistakes changes nothing.

        A file that is away counts as such at the second look in a row.
        """
        before = self._looked_at
        signature = await asyncio.to_thread(self._signature) if self._include else self._signature()
        self._looked_at = signature
        is_replaced = not before.keys() <= signature.keys()  # by an editor that deletes a file first
        if not now and (is_replaced or signature == self._seen):
            return
        first = not (now or self._looked)
        self._looked = True
        self._seen = signature
        try:
            config = await asyncio.to_thread(load, self._path, self._environ)
        except ConfigError as error:
            self._include = error.include or self._include
            self.last_successful = False
            for mistake in error.mistakes:
                log.error("configuration not taken: %s", mistake)  # noqa: TRY400 - no bug, no traceback
            return
        if config.include != self._include:  # the next look sees more or fewer files, and no change of them
            self._include = config.include
            self._looked = False
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
        self._domains.follow(config.monitors)
        schedule.add(self.checkers(change.added))
        self._connectivity.target = config.connectivity_check
        logging.getLogger().setLevel(config.log_level.upper())
        removed = counted(len(change.removed), "monitor")
        log.info("configuration taken: %s removed, %d added", removed, len(change.added))
        log_monitors(change.added)
        if change.needs_restart:
            log.warning("these keys take effect at the next start: %s", ", ".join(change.needs_restart))
        self._config = self._config.model_copy(update={key: getattr(config, key) for key in LIVE})
        self._kept_tokens = self._tokens_of_modules()
        for take in self._on_taken:
            take(self._config)

    def _signature(self) -> _Signature:
        """Return what differs after each change of the files, for each that is there."""
        found: _Signature = {}
        for path in (self._path, *included(self._path, self._include)):
            with suppress(OSError):
                status = path.stat()
                found[path] = status.st_mtime_ns, status.st_size, status.st_ino
        return found


def _probe_of(monitor: Monitor) -> Callable[[Monitor, str, Network], Checker]:
    if monitor.steps:
        return StepsProbe
    return AddressesProbe if monitor.addresses == "all" else Probe


def log_monitors(monitors: Iterable[Monitor]) -> None:
    """Log one line for each monitor."""
    for monitor in monitors:
        state = "paused" if monitor.paused else f"every {monitor.interval_s:g} s"
        log.info("monitor %s: %s, %s", monitor.name, monitor.public_url, state)
