"""Asks registries about the domains of monitors, once a day for each, and keeps what all processes know."""

import asyncio
import logging
import time
from collections.abc import Callable

from monitor.config.model import Monitor
from monitor.domains.known import Domains, Key
from monitor.domains.rdap import Fetch, UnknownError, address, expiry_in, good_body, request
from monitor.domains.registries import Registries
from monitor.domains.store import DomainStore
from monitor.result import OwnTroubleError
from monitor.runtime.text import DAY_S, instant
from monitor.storage.database import StoreUnavailableError

log = logging.getLogger(__name__)

_LOOK_S = 30.0
_APART_S = 1.0  # from one answer to the next request
_AT_ONCE = 50  # domains of one look


class DomainWatch:
    """Keeps `domains` as all processes of the database know them."""

    def __init__(
        self,
        domains: Domains,
        store: DomainStore,
        registries: Registries,
        fetch: Fetch,
        *,
        clock: Callable[[], float] = time.time,
        apart_s: float = _APART_S,
    ) -> None:
        self._domains = domains
        self._store = store
        self._registries = registries
        self._fetch = fetch
        self._clock = clock
        self._apart_s = apart_s

    async def run(self, look_s: float = _LOOK_S) -> None:
        """Look again and again, until cancelled. While the database is unavailable, nobody is asked."""
        while True:
            try:
                await self.look()
            except StoreUnavailableError as error:
                log.debug("no look at domains for now: PostgreSQL is unavailable: %s", error)
            await asyncio.sleep(look_s)

    async def look(self) -> None:
        """Ask about the domains that are due, one after the other, and read what is known of all.

        Raises:
            StoreUnavailableError: the database is unavailable.

        """
        watched = self._domains.watched  # a reload makes another one
        if not watched:
            return
        await self._store.add(watched)
        await self.read()
        for _ in range(_AT_ONCE):
            key = await self._store.claim(watched)
            if key is None:
                break
            await self._ask(key, watched[key].monitor)
            await asyncio.sleep(self._apart_s)
        await self.read()

    async def read(self) -> None:
        """Read what is known, and ask nobody.

        Raises:
            StoreUnavailableError: the database is unavailable.

        """
        watched = self._domains.watched
        for key, known in (await self._store.read(watched) if watched else {}).items():
            watched[key].domain.learn(*known)

    async def _ask(self, key: Key, monitor: Monitor) -> None:
        try:
            expires_at = await self._expiry(key, monitor)
        except UnknownError as error:
            log.info("the expiry of the domain %s is not known: %s", key.domain, error)
            await self._store.save(key, None, str(error), error.again_s)
        except OwnTroubleError as error:
            log.warning("nobody is asked about the domain %s for now: %s", key.domain, error)
        else:
            log.info("the domain %s expires at %s UTC", key.domain, instant(expires_at))
            await self._store.save(key, expires_at, None, DAY_S)

    async def _expiry(self, key: Key, monitor: Monitor) -> float:
        server = key.server or await self._registries.server_of(key.domain, monitor)
        answer = await self._fetch(request(address(server, key.domain), monitor))
        return expiry_in(good_body(answer, server, self._clock()), server)
