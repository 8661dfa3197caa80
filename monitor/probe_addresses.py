"""One check of all addresses of a name: a full request to each, all at the same time."""

import asyncio
from collections.abc import Mapping

import msgspec
from yarl import URL

from monitor.config import Monitor
from monitor.one_address import OneAddress
from monitor.probe import Network, Probe
from monitor.result import CheckResult, OwnTroubleError
from monitor.timing import Timing


class AddressesProbe:
    """Checks each address of one monitor's host; use it from one task at a time."""

    def __init__(self, monitor: Monitor, location: str, network: Network) -> None:
        self._monitor = monitor
        self._location = location
        self._network = network
        self._host = URL(monitor.url).raw_host or ""
        self._probes: list[Probe] = []

    async def check(self, scheduled_at: float) -> CheckResult:
        """Look the name up once and check what was found; ends within `timeout_s`.

        Raises:
            OwnTroubleError: this machine could not make one of the checks.

        """
        others: dict[str, asyncio.Task[CheckResult]] = {}

        def check_others(addresses: list[str]) -> None:
            for position, address in enumerate(addresses, 1):
                check = self._probe(position).check(
                    scheduled_at, first_timing.following(OneAddress(self._host, address))
                )
                others[address] = tasks.create_task(check)

        only = OneAddress(self._host, on_others=check_others)
        first_timing = Timing(only)
        trouble: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                first = tasks.create_task(self._probe(0).check(scheduled_at, first_timing))
        except* OwnTroubleError as group:
            trouble = group.exceptions[0]
        if trouble is not None:
            raise trouble
        return summed_up(first.result(), only.address, {each: task.result() for each, task in others.items()})

    async def close(self) -> None:
        """Let go of the sessions; the network's connections stay."""
        for probe in self._probes:
            await probe.close()

    def _probe(self, position: int) -> Probe:
        if position == len(self._probes):
            self._probes.append(Probe(self._monitor, self._location, self._network))
        return self._probes[position]


def summed_up(first: CheckResult, address: str | None, others: Mapping[str, CheckResult]) -> CheckResult:
    """Make one result: that of the first address that failed, else that of the slowest."""
    results: dict[str | None, CheckResult] = {address: first}
    results.update(others)
    if len(results) == 1:
        return first
    failed = {each: result for each, result in results.items() if not result.up}
    if not failed:
        slowest = max(results.values(), key=lambda result: result.response_time)
        return msgspec.structs.replace(slowest, timestamp=first.timestamp)
    told = next(iter(failed.values()))
    which = f"{len(failed)} of {len(results)} addresses failed ({', '.join(map(str, failed))})"
    return msgspec.structs.replace(told, timestamp=first.timestamp, detail=f"{which}: {told.detail}")
