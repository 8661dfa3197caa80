"""The whole program: starts all parts, follows the configuration, and stops all parts in order."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from monitor.config.model import Config
from monitor.delivery.outbox.outbox import OutboxError
from monitor.domains.registries import Registries
from monitor.domains.store import DomainStore
from monitor.domains.watch import DomainWatch
from monitor.embedded.account import EmbeddedError
from monitor.pipeline import Pipeline, pipeline
from monitor.probe.exchange.connector import Network
from monitor.probe.registration import ask_registry
from monitor.reload import Reload, log_monitors
from monitor.result import CheckResult
from monitor.runtime.process import resources
from monitor.runtime.process.data_dir import DataDirError
from monitor.runtime.process.service_manager import ServiceManager
from monitor.runtime.process.signals import Signals
from monitor.runtime.text import instant
from monitor.schedule import Schedule
from monitor.sharing import Sharing, sharing
from monitor.storage.database import StoreUnavailableError
from monitor.storage.migrate import SchemaError
from monitor.storage.results import stored
from monitor.web.running import running_program
from monitor.web.site import serving_site

log = logging.getLogger(__name__)

_STORED_LOOK_S = 0.1
_LAST_LOOK_S = 3.0
_GIVEN_UP_S = 2.0  # is enough for what is not in the outbox yet
_HANDLES_SHARE = 2  # a quarter is for the web server, a quarter for Kafka, PostgreSQL and files
_CHECKS_SHARE = 0.75  # of the grace; the rest is for handing on what they found


class CannotGoOnError(Exception):
    """The program cannot go on, and this is no bug; its text is the reason in one line."""


async def serve(config: Config, path: Path, environ: Mapping[str, str]) -> None:
    """Check, forward and store until SIGTERM or SIGINT.

    Raises:
        CannotGoOnError: it cannot start, or the database is not for this program.
        WebError: the web server cannot listen where it should.

    """
    loop = asyncio.get_running_loop()
    checks = concurrent_checks(config)
    signals = Signals(lambda: loop.call_later(config.shutdown_grace_s, _give_up))
    async with (
        serving_site(config) as site,
        _pipeline(config) as running,
        Network(checks, environ=environ) as network,
    ):
        shared, manager = sharing(config, running.store.database), ServiceManager(environ)
        if shared is not None:
            shared.on_known = manager.ready
            running.stages.start("the sharing of checks", shared.run())
            site.checks.own_shards = shared.own_shards
        on_taken = [site.follow, running.follow]
        reload = Reload(config, path, environ, network, on_taken, running.domains)
        on_result = [site.checks.observe, running.recent.add]
        try:
            async with (
                asyncio.timeout(None) as limit,
                _schedule(config, running, checks, on_result, shared=shared) as schedule,
            ):
                site.program.started = shown = running_program(running, schedule, reload, shared)
                _run_beside(running, site.events.run(shown.reader), _domain_watch(running, network).run())
                schedule.add(reload.checkers(config.monitors))
                log_monitors(config.monitors)
                with manager.running(is_ready=shared is None):
                    await reload.follow(schedule, signals)
                running.begin_grace()
                limit.reschedule(loop.time() + config.shutdown_grace_s * _CHECKS_SHARE)
                if shared is not None:
                    await shared.leave()
        except TimeoutError:
            log.warning("checks that still ran are given up")


def concurrent_checks(config: Config) -> int:
    """Return how many checks may run at the same time: no more than half of the file handles."""
    possible = max(1, resources.file_limit() // _HANDLES_SHARE)
    if possible < config.max_concurrent_checks:
        log.warning(
            "max_concurrent_checks is %d, but there are file handles for %d: raise ulimit -n",
            config.max_concurrent_checks,
            possible,
        )
    return min(possible, config.max_concurrent_checks)


def _give_up() -> None:
    """End the process at once: what is not handed on yet is in the outbox, or in Kafka."""
    log.warning("shutdown_grace_s is over, the rest waits for the next start")
    os._exit(0)


async def check_once(
    config: Config, path: Path, environ: Mapping[str, str], within_s: float
) -> Sequence[CheckResult]:
    """Check every monitor once, through the whole pipeline, and return when all results are stored.

    Raises:
        CannotGoOnError: it cannot start, or is not done `within_s` after the start; it says what is where.

    """
    results: list[CheckResult] = []
    checks = concurrent_checks(config)
    where = ""
    async with _pipeline(config, alerting=False) as running, Network(checks, environ=environ) as network:
        reload = Reload(config, path, environ, network, domains=running.domains)
        schedule = _schedule(config, running, checks, [results.append], once=True)
        try:
            async with asyncio.timeout(within_s):
                with suppress(StoreUnavailableError):
                    await _domain_watch(running, network).read()
                async with schedule:
                    schedule.add(reload.checkers(config.monitors))
                await _stored(running, results)
        except TimeoutError:
            asked = sum(not monitor.paused for monitor in config.monitors) - schedule.own_troubles
            where = await _whereabouts(running, results, asked)
            running.grace_s = min(running.grace_s, _GIVEN_UP_S)
    if where:
        raise CannotGoOnError(f"not done within {within_s:g} s: {where}")
    return results


async def _stored(running: Pipeline, results: Sequence[CheckResult]) -> None:
    """Return when the results have rows."""
    left = {result.id: result for result in results}
    while left:
        with suppress(StoreUnavailableError):
            for found in await stored(running.store.database, left.values()):
                del left[found]
        if left:
            await asyncio.sleep(_STORED_LOOK_S)


async def _whereabouts(running: Pipeline, results: Sequence[CheckResult], asked: int) -> str:
    """Return in words how far each of the `asked` checks has come, and what is in the way."""
    safe = 0
    troubles = {
        server.name: f"{server.name} is unavailable since {instant(since_at)} UTC: {server.why}"
        for server in (running.forwarder.availability, running.ingest.availability)
        if (since_at := server.unavailable_since_at) is not None
    }
    try:
        async with asyncio.timeout(_LAST_LOOK_S):
            safe = len(await stored(running.store.database, results))
    except StoreUnavailableError as error:
        troubles.setdefault("PostgreSQL", f"PostgreSQL is unavailable: {error}")
    except TimeoutError:
        troubles.setdefault("PostgreSQL", "PostgreSQL does not answer")
    waiting = running.queue.qsize() + running.forwarder.waiting
    places = {
        ("check has not ended", "checks have not ended"): asked - len(results),
        ("result waits in the outbox", "results wait in the outbox"): waiting,
        ("result waits in Kafka", "results wait in Kafka"): len(results) - safe - waiting,
    }
    parts = [f"{amount} {words[amount > 1]}" for words, amount in places.items() if amount > 0]
    return "; ".join([f"{safe} of {asked} results are stored", *parts, *troubles.values()])


@asynccontextmanager
async def _pipeline(config: Config, *, alerting: bool = True) -> AsyncIterator[Pipeline]:
    """Run the pipeline; raise as `CannotGoOnError` what keeps it from running and is no bug."""
    with no_bugs(CannotGoOnError, DataDirError, EmbeddedError, OutboxError, SchemaError):
        async with pipeline(config, alerting=alerting) as running:
            yield running


@contextmanager
def no_bugs(*kinds: type[Exception], what: str = "") -> Iterator[None]:
    """Raise errors of these kinds, also those in groups, as one `CannotGoOnError` that begins with `what`."""
    reasons: list[str] = []
    try:
        yield
    except* kinds as group:
        reasons = [str(error) for error in _errors_of(group)]
    if reasons:
        raise CannotGoOnError(what + "; ".join(reasons))


def _run_beside(
    running: Pipeline, events: Coroutine[Any, Any, None], domains: Coroutine[Any, Any, None]
) -> None:
    running.run_beside("the events", events)
    running.run_beside("the domains", domains)
    running.run_beside("the memory", resources.give_back_free_memory())


def _domain_watch(running: Pipeline, network: Network) -> DomainWatch:
    fetch = partial(ask_registry, network)
    registries = Registries(running.config.data_dir / "rdap-servers.json", fetch)
    return DomainWatch(running.domains, DomainStore(running.store.database), registries, fetch)


def _errors_of(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """Yield the errors of a group and of the groups in it: each embedded server adds a group of its own."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _errors_of(error)
        else:
            yield error


def _schedule(
    config: Config,
    running: Pipeline,
    checks: int,
    on_result: Iterable[Callable[[CheckResult], None]],
    *,
    once: bool = False,
    shared: Sharing | None = None,
) -> Schedule:
    schedule = Schedule(
        running.queue,
        max_concurrent_checks=checks,
        max_checks_per_host=config.max_checks_per_host,
        once=once,
        on_result=on_result,
        result_log=running.result_log,
        shared=shared,
    )
    running.watch.add(schedule.progress)
    return schedule
