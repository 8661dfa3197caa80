"""Sessions, which people open with the token when they log in.

A session is a signed cookie, which is stored nowhere: it is valid after a restart, too, and for every process
with the same token. Only ended sessions are stored, for as long as their cookies would still be valid, in a
file without secrets: the name of a session is worth nothing without its signature. A new token ends all.
"""

import asyncio
import hmac
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from monitor.runtime.text import DAY_S

SESSION_S = 7.0 * DAY_S
_MAX_FAILED = 10
_FAILED_S = 60.0
_MAX_ADDRESSES = 1_000

_log = logging.getLogger(__name__)


class Sessions:
    """Sessions of one token; `clock` returns Unix seconds."""

    def __init__(self, token: str, ended: "EndedSessions", clock: Callable[[], float] = time.time) -> None:
        self._ended = ended
        self._token = token.encode()
        self._key = hmac.digest(self._token, b"session", "sha256")
        self._clock = clock

    def admits(self, token: str) -> bool:
        """Return whether this is the token; the comparison takes constant time."""
        return hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self._token)

    def issue(self) -> str:
        """Return the cookie of a new session."""
        session = f"{self._clock() + SESSION_S:.0f}.{secrets.token_hex(16)}"
        return f"{session}.{self._signature(session)}"

    def knows(self, cookie: str) -> bool:
        """Return whether the cookie was issued for this token, has not expired, and was not ended."""
        session, _, signature = cookie.rpartition(".")
        signed = signature.encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(signed, self._signature(session).encode()):
            return False
        return float(session.partition(".")[0]) > self._clock() and session not in self._ended

    async def end(self, cookie: str) -> None:
        """End the session of this cookie; a cookie that is not valid changes nothing."""
        if self.knows(cookie):
            session = cookie.rpartition(".")[0]
            await self._ended.add(session, float(session.partition(".")[0]))

    def _signature(self, session: str) -> str:
        return hmac.digest(self._key, session.encode("utf-8", "surrogateescape"), "sha256").hex()


class EndedSessions:
    """Names of ended sessions, each until it would expire (Unix seconds)."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        self._file = file
        self._clock = clock
        self._until = dict(_read(file))
        self._writing = asyncio.Lock()

    def __contains__(self, session: str) -> bool:
        return session in self._until

    async def add(self, session: str, until: float) -> None:
        """End this session; if the file cannot be written, it is ended only until this process stops."""
        now = self._clock()
        self._until = {name: at for name, at in self._until.items() if at > now} | {session: until}
        async with self._writing:
            text = "".join(f"{at:.0f} {name}\n" for name, at in self._until.items())
            try:
                await asyncio.to_thread(_write, self._file, text)
            except OSError as error:
                _log.warning("cannot store that a session has ended: %s", error.strerror)


def _read(file: Path) -> Iterator[tuple[str, float]]:
    try:
        text = file.read_text("ascii", "replace")
    except FileNotFoundError:
        return
    except OSError as error:
        _log.warning("cannot read which sessions have ended: %s", error.strerror)
        return
    for line in text.splitlines():
        at, _, name = line.partition(" ")
        if at.isdigit():
            yield name, float(at)


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.write_text(text, "ascii")
    fresh.replace(file)


class FailedTries:
    """Counts wrong tokens by client address: no more than ten in a minute are allowed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: dict[str, deque[float]] = {}

    def wait_s(self, address: str) -> float:
        """Return the seconds until this address may try again; 0 means now."""
        failed = self._failed.get(address)
        if failed is None or len(failed) < _MAX_FAILED:
            return 0.0
        return max(0.0, failed[0] + _FAILED_S - self._clock())

    def add(self, address: str) -> None:
        if address not in self._failed and len(self._failed) >= _MAX_ADDRESSES:
            self._failed.pop(next(iter(self._failed)))
        self._failed.setdefault(address, deque(maxlen=_MAX_FAILED)).append(self._clock())
