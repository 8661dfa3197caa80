"""One check of all addresses of a name: a full request to each, all at the same time."""

import asyncio
from collections.abc import Mapping

import msgspec
from yarl import URL

from monitor.config.model import Monitor
from monitor.probe.addresses import OneAddress
from monitor.probe.evidence import TEXT_LENGTH
from monitor.probe.exchange.connector import Network
from monitor.probe.probe import Probe
from monitor.probe.timing import Timing
from monitor.result import Attempt, CheckResult, Evidence, OwnTroubleError
from monitor.runtime.text import quoted


class AddressesProbe:
    """Checks each address of one monitor's host."""

    def __init__(self, monitor: Monitor, location: str, network: Network) -> None:
        self._monitor = monitor
        self._location = location
        self._network = network
        self._host = URL(monitor.url).raw_host or ""
        self._probes: list[Probe] = []

    async def check(self, scheduled_at: float) -> CheckResult:
        """Look the name up once and check what was found, within `timeout_s`.

        The first check makes the look-up; it starts the others as soon as it knows the addresses.
        """
        others: dict[str, asyncio.Task[CheckResult]] = {}

        def check_others(addresses: list[str]) -> None:
            for position, address in enumerate(addresses, 1):
                timing = first_timing.for_another(OneAddress(self._host, address))
                others[address] = tasks.create_task(self._probe(position).check(scheduled_at, timing))

        first_address = OneAddress(self._host, on_others=check_others)
        first_timing = Timing(first_address)
        trouble: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                first = tasks.create_task(self._probe(0).check(scheduled_at, first_timing))
        except* OwnTroubleError as group:
            trouble = group.exceptions[0]
        if trouble is not None:
            raise trouble
        results = {first_address.address: first.result()}
        results.update((address, task.result()) for address, task in others.items())
        return _summary(results)

    async def close(self) -> None:
        for probe in self._probes:
            await probe.close()

    def _probe(self, position: int) -> Probe:
        if position == len(self._probes):
            self._probes.append(Probe(self._monitor, self._location, self._network))
        return self._probes[position]


def _summary(results: Mapping[str | None, CheckResult]) -> CheckResult:
    """Return the result of the first address that failed, else that of the slowest."""
    failed = {address: result for address, result in results.items() if not result.up}
    if not failed:
        return max(results.values(), key=lambda result: result.response_time)
    first = next(iter(failed.values()))
    if len(results) == 1:
        return first
    which = f"{len(failed)} of {len(results)} addresses failed ({', '.join(map(str, failed))})"
    attempts = tuple(
        Attempt(str(address), "is up" if result.up else quoted(result.detail or "", TEXT_LENGTH))
        for address, result in results.items()
    )
    evidence = msgspec.structs.replace(first.evidence or Evidence({}, ""), addresses=attempts)
    return msgspec.structs.replace(first, detail=f"{which}: {first.detail}", evidence=evidence)
