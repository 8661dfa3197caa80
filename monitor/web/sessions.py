"""Who may see the pages: holders of the token, and the sessions that they open with it.

A session is a signed cookie that nobody has to remember: it holds over a restart, and for every
process with the same token. Only those that were ended are remembered. A new token ends all sessions.
"""

import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable

from monitor.web.ended_sessions import EndedSessions

SESSION_S = 7 * 86_400.0
_MAX_FAILED = 10
_FAILED_S = 60.0
_MAX_PLACES = 1_000


class Sessions:
    """Sessions of one token; `clock` tells Unix seconds."""

    def __init__(self, token: str, ended: EndedSessions, clock: Callable[[], float] = time.time) -> None:
        self._ended = ended
        self._token = token.encode()
        self._key = hmac.digest(self._token, b"session", "sha256")
        self._clock = clock

    def admits(self, token: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self._token)

    def issue(self) -> str:
        """Make the cookie of a new session."""
        said = f"{self._clock() + SESSION_S:.0f}.{secrets.token_hex(16)}"
        return f"{said}.{self._signature(said)}"

    def knows(self, cookie: str) -> bool:
        """Tell whether the cookie was issued for this token, has not run out, and was not ended."""
        said, _, signature = cookie.rpartition(".")
        signed = signature.encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(signed, self._signature(said).encode()):
            return False
        return float(said.partition(".")[0]) > self._clock() and said not in self._ended

    async def end(self, cookie: str) -> None:
        """Let the cookie open nothing any more; one that opens nothing is left alone."""
        if self.knows(cookie):
            said = cookie.rpartition(".")[0]
            await self._ended.add(said, float(said.partition(".")[0]))

    def _signature(self, said: str) -> str:
        return hmac.digest(self._key, said.encode("utf-8", "surrogateescape"), "sha256").hex()


class FailedTries:
    """Counts wrong tokens by the address that they come from: ten in a minute, no more."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: dict[str, deque[float]] = {}

    def wait_s(self, place: str) -> float:
        """Seconds until this address may try again; 0: now."""
        failed = self._failed.get(place)
        if failed is None or len(failed) < _MAX_FAILED:
            return 0.0
        return max(0.0, failed[0] + _FAILED_S - self._clock())

    def add(self, place: str) -> None:
        """Take note of a wrong token."""
        if place not in self._failed and len(self._failed) >= _MAX_PLACES:
            self._failed.pop(next(iter(self._failed)))
        self._failed.setdefault(place, deque(maxlen=_MAX_FAILED)).append(self._clock())
