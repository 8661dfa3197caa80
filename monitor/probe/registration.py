"""The registration of a site's domain: what a check expects of it, and how its registry is asked."""

import msgspec

from monitor.config.model import Monitor
from monitor.domains.known import Domain
from monitor.domains.rdap import Answer
from monitor.probe.asking import ask
from monitor.probe.exchange.connector import Network
from monitor.probe.probe import Checker
from monitor.result import CheckResult, Reason
from monitor.runtime.text import DAY_S


class RegisteredProbe:
    """Checks as its checker does. A check that passes fails if the domain is known to expire too soon."""

    def __init__(self, checker: Checker, domain: Domain, min_days: float) -> None:
        self._checker = checker
        self._domain = domain
        self._min_days = min_days

    async def check(self, scheduled_at: float) -> CheckResult:
        """Check once; nobody is asked about the domain now."""
        result = await self._checker.check(scheduled_at)
        expires_at = self._domain.expiry(result.timestamp)
        if not result.up or expires_at is None:
            return result
        days = (expires_at - result.timestamp) / DAY_S
        if days >= self._min_days:
            return result
        left = f"expires in {days:.1f} days, expected at least {self._min_days:g}"
        return msgspec.structs.replace(
            result,
            up=False,
            degraded=False,
            reason=Reason.DOMAIN_EXPIRING,
            detail=f"the domain {self._domain.name} {left}",
        )

    async def close(self) -> None:
        await self._checker.close()


async def ask_registry(network: Network, request: Monitor) -> Answer:
    """Send a request of `monitor.domains`.

    Raises:
        OwnTroubleError: this machine could not send it.

    """
    received, trouble = await ask(request, network)
    retry_after = received.headers.get("Retry-After", "")
    return Answer(received.status, bytes(received.body), retry_after, trouble)
