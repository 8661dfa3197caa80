"""Checks of a site that wants an access token."""

import time
from collections.abc import Callable

from pydantic import SecretStr

from monitor.config.model import Monitor
from monitor.probe.judging.expect import MAX_DETAIL
from monitor.probe.probe import Checker
from monitor.probe.tokens.grant import NoTokenError
from monitor.probe.tokens.tokens import Token
from monitor.result import PROCESS, CheckResult, Reason, next_number, result_id
from monitor.runtime.text import quoted

_UNAUTHORIZED = 401


class AuthorizedProbe:
    """Checks as the checker that is made for a monitor with a bearer token; each token has one of its own."""

    def __init__(
        self, monitor: Monitor, location: str, token: Token, make: Callable[[Monitor], Checker]
    ) -> None:
        self._monitor = monitor
        self._location = location
        self._token = token
        self._make = make
        self._access_token = ""
        self._checker: Checker | None = None

    async def check(self, scheduled_at: float) -> CheckResult:
        """Check once. To wait for a token is no part of the response time.

        Raises:
            OwnTroubleError: this machine could not make the check, or ask for a token.

        """
        began_at, began = time.time(), time.monotonic()
        try:
            access_token = await self._token.get(self._monitor.timeout_s)
        except NoTokenError as error:
            return self._not_authorized(scheduled_at, str(error), began_at, time.monotonic() - began)
        checker = await self._checker_with(access_token)
        result = await checker.check(scheduled_at)
        if _UNAUTHORIZED in {result.response_status, *(step.status for step in result.steps or ())}:
            self._token.refused(access_token)
        return result

    async def close(self) -> None:
        if self._checker is not None:
            await self._checker.close()

    async def _checker_with(self, access_token: str) -> Checker:
        if self._checker is None or access_token != self._access_token:
            await self.close()
            sent = {"bearer_token": SecretStr(access_token), "oauth2": None}
            self._checker = self._make(self._monitor.model_copy(update=sent))
            self._access_token = access_token
        return self._checker

    def _not_authorized(self, scheduled_at: float, why: str, began_at: float, took_s: float) -> CheckResult:
        return CheckResult(
            timestamp=began_at,
            response_data="",
            response_status=None,
            response_time=took_s,
            id=result_id(self._location, self._monitor.name, scheduled_at),
            monitor=self._monitor.name,
            url=self._monitor.public_url,
            location=self._location,
            scheduled_at=scheduled_at,
            process=PROCESS,
            number=next_number(),
            up=False,
            reason=Reason.AUTH_ERROR,
            detail=quoted(why, MAX_DETAIL),
        )
