"""One check of several requests, which are made in their order and share cookies and values.

The first step that fails ends the check, but for the steps that run always.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
from aiohttp import CookieJar

from monitor.config.model import Monitor
from monitor.config.sent_secrets import sent_secrets
from monitor.config.steps.step import Step
from monitor.probe.exchange.connector import Network
from monitor.probe.judging.expect import MAX_DETAIL
from monitor.probe.masking import Masking
from monitor.probe.probe import Probe, slowness
from monitor.probe.response import Received
from monitor.probe.steps.request import StepRequest
from monitor.probe.steps.saving import Saves
from monitor.probe.timing import Timing
from monitor.result import CheckResult, Evidence, Phases, Reason, StepResult

_LEAST_S = 0.001  # for a step that no time is left for
_UNUSABLE = Reason.PROTOCOL_ERROR, "the URL or a header cannot be used with the values that were saved"


class _ReadyStep(NamedTuple):
    """A step, and what makes its requests and reads its responses."""

    step: Step
    request: StepRequest
    probe: Probe
    saves: Saves


class StepsProbe:
    """Checks the steps of one monitor."""

    def __init__(self, monitor: Monitor, location: str, network: Network) -> None:
        self._monitor = monitor
        self._network = network
        self._masking = Masking(sent_secrets(monitor, network.environ))
        self._steps = []
        for step in monitor.steps:
            request = StepRequest(monitor, step)
            probe = Probe(request.monitor, location, network)
            self._steps.append(_ReadyStep(step, request, probe, Saves(step.save)))

    async def check(self, scheduled_at: float) -> CheckResult:
        """Make the requests, all within `timeout_s`.

        Raises:
            OwnTroubleError: this machine could not make one of them; those that would follow are not made.

        """
        course = _Course(self._monitor, self._network.environ, scheduled_at, self._masking)
        for step in self._steps:
            if course.goes_on_with(step):
                await course.run(step)
        return course.result()

    async def close(self) -> None:
        for each in self._steps:
            await each.probe.close()


class _Course:
    """One check, as far as it has come."""

    def __init__(
        self, monitor: Monitor, environ: Mapping[str, str], scheduled_at: float, masking: Masking
    ) -> None:
        self._monitor = monitor
        self._environ = environ
        self._scheduled_at = scheduled_at
        self._masking = masking
        self._jar = CookieJar(unsafe=True)
        self._values: dict[str, str] = {}
        self._ran: list[tuple[str, CheckResult]] = []
        self._failed: tuple[str, CheckResult] | None = None

    def goes_on_with(self, each: _ReadyStep) -> bool:
        """Return whether the step runs: after one that failed, if it should, and has what it needs for it."""
        if self._failed is None:
            return True
        return each.step.always and self._left_s() >= _LEAST_S and each.request.names <= self._values.keys()

    def _left_s(self) -> float:
        """Return what the sites have left of `timeout_s`, of which reading their values takes nothing."""
        return self._monitor.timeout_s - sum(result.response_time for _, result in self._ran)

    async def run(self, each: _ReadyStep) -> None:
        timing, seen = Timing(), Received()
        result = await self._checked(each, timing, seen)
        if each.step.save and seen.status is not None:
            saved = await each.saves.find(seen, self._jar)
            self._values |= saved.values
            self._masking = self._masking.with_more(saved.secrets)
            if result.up and saved.failure is not None:
                result = each.probe.result(self._scheduled_at, timing, seen, saved.failure)
        self._ran.append((each.step.name, result))
        if not result.up and self._failed is None:
            self._failed = self._ran[-1]

    async def _checked(self, each: _ReadyStep, timing: Timing, seen: Received) -> CheckResult:
        try:
            asked = each.request.filled(self._values, max(round(self._left_s(), 3), _LEAST_S))
            if each.request.names:
                self._masking = self._masking.with_more(sent_secrets(asked, self._environ))
            each.probe.ask(asked, self._jar, self._masking)
        except ValueError:
            timing.end()
            return each.probe.result(self._scheduled_at, timing, seen, _UNUSABLE)
        return await each.probe.check(self._scheduled_at, timing, seen)

    def result(self) -> CheckResult:
        """Return the result of the step that failed, else of the last one, with what is known of all."""
        name, shown = self._failed or self._ran[-1]
        results = [result for _, result in self._ran]
        seconds = sum(result.response_time for result in results)
        detail, slow = shown.detail, None
        if self._failed is None:
            detail = slow = slowness(self._monitor, seconds)
        else:
            detail = f'step "{name}": {self._masking.line(detail or "")}'[:MAX_DETAIL]
        expiries = [
            each.certificate_expires_at for each in results if each.certificate_expires_at is not None
        ]
        return msgspec.structs.replace(
            shown,
            timestamp=results[0].timestamp,
            response_data=self._masking.text(shown.response_data),
            response_time=seconds,
            degraded=slow is not None,
            detail=detail,
            phases=_sum(result.phases for result in results),
            certificate_expires_at=min(expiries, default=None),
            evidence=_masked(shown.evidence, self._masking),
            steps=tuple(_step_result(*each) for each in self._ran),
        )


def _step_result(name: str, result: CheckResult) -> StepResult:
    return StepResult(name, result.response_status, result.response_time, result.phases, result.reason)


def _sum(phases: Iterable[Phases]) -> Phases:
    """Return the seconds of each phase of all steps; null where it ran in none."""
    columns = zip(*map(msgspec.structs.astuple, phases), strict=True)
    ran = ([seconds for seconds in column if seconds is not None] for column in columns)
    return Phases(*(sum(column) if column else None for column in ran))


def _masked(evidence: Evidence | None, masking: Masking) -> Evidence | None:
    """Return the evidence without what was saved after it was taken."""
    if evidence is None:
        return None
    return msgspec.convert(masking.within(msgspec.to_builtins(evidence)), Evidence)
