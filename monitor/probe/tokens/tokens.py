"""The access tokens of all monitors: those that ask the same server for the same share one."""

import asyncio
import math
import time
from collections.abc import Callable
from weakref import WeakValueDictionary

from monitor.config.model import Monitor, MonitorSettings, OAuth2
from monitor.config.public_url import public_url
from monitor.config.sent_secrets import sent_secrets
from monitor.probe.asking import ask
from monitor.probe.exchange.connector import Network
from monitor.probe.masking import Masking
from monitor.probe.tokens.grant import (
    CONNECTION,
    LIMIT_S,
    Grant,
    NoTokenError,
    granted,
    refusal,
    token_request,
)
from monitor.result import OwnTroubleError

APART_S = 10.0
"""From the end of one request for a token to the start of the next."""
_GOOD = 200
_RENEWED_SHARE = 0.1  # of a token's life, at its end
_MAX_RENEWED_S = 300.0


class Token:
    """One access token, kept until shortly before it expires. There is one request for it at a time."""

    def __init__(self, request: Monitor, network: Network, clock: Callable[[], float]) -> None:
        self._request = request
        self._network = network
        self._clock = clock
        self._masking = Masking(sent_secrets(request, network.environ))
        self._lock = asyncio.Lock()
        self._access_token: str | None = None
        self._renew_at = self._expires_at = self._asked_at = -math.inf
        self._waited_s = math.inf  # until the last request was given up
        self._why = "the request for one was given up"

    async def get(self, within_s: float) -> str:
        """Return an access token that is valid. At the end of its life, one check waits for a new one.

        Raises:
            NoTokenError: there is none within this time, or a request for it has just failed.
            OwnTroubleError: this machine could not ask for it.

        """
        now = self._clock()
        if now >= self._renew_at and not (now < self._expires_at and self._lock.locked()):
            await self._renew(min(within_s, LIMIT_S))
        if self._access_token is None or self._clock() >= self._expires_at:
            raise NoTokenError(f"no access token from {public_url(self._request.url)}: {self._why}")
        return self._access_token

    def refused(self, access_token: str) -> None:
        """Use this token no more: a site does not take it."""
        if access_token == self._access_token:
            self._access_token, self._renew_at = None, -math.inf
            self._why = f"the site refused the last one less than {APART_S:g} s ago"

    async def _renew(self, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s), self._lock:
                if self._may_ask(within_s):
                    await self._ask()
        except TimeoutError:
            self._waited_s, self._why = within_s, f"no answer within {within_s:g} s"
        except NoTokenError as error:
            self._why = self._masking.line(str(error))

    def _may_ask(self, within_s: float) -> bool:
        return self._clock() >= self._asked_at + APART_S or within_s > self._waited_s

    async def _ask(self) -> None:
        try:
            received, trouble = await ask(self._request, self._network)
        except OwnTroubleError:
            self._waited_s = 0.0
            raise
        finally:
            self._asked_at = self._clock()
        self._waited_s = math.inf
        if received.status not in {None, _GOOD}:
            raise NoTokenError(refusal(received.status, received.body))
        if trouble is not None:
            raise NoTokenError(trouble)
        self._keep(granted(received.body))

    def _keep(self, grant: Grant) -> None:
        self._access_token = grant.access_token
        self._expires_at = self._asked_at + grant.lasts_s
        self._renew_at = self._expires_at - min(grant.lasts_s * _RENEWED_SHARE, _MAX_RENEWED_S)


class Tokens:
    """The tokens that some monitor needs."""

    def __init__(self, network: Network, clock: Callable[[], float] = time.monotonic) -> None:
        self._network = network
        self._clock = clock
        self._tokens: WeakValueDictionary[object, Token] = WeakValueDictionary()

    def of(self, settings: MonitorSettings, oauth2: OAuth2) -> Token:
        """Return the token of a monitor: the same for all that ask for it in the same way."""
        request = token_request(settings, oauth2)
        client = oauth2.token_url, oauth2.client_id, oauth2.client_secret, oauth2.auth_method
        connection = (getattr(request, key) for key in CONNECTION)
        token = Token(request, self._network, self._clock)
        return self._tokens.setdefault((*client, request.body, *connection), token)
