"""Which server knows the domains of a registry: IANA's list (RFC 9224), kept on disk for a week."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from monitor.config.model import Monitor
from monitor.domains.rdap import Fetch, UnknownError, good_body, request, server_of, servers_in
from monitor.runtime.files import read_file
from monitor.runtime.text import DAY_S, HOUR_S

log = logging.getLogger(__name__)

IANA_URL = "https://data.iana.org/rdap/dns.json"
KEPT_S = 7 * DAY_S

_MAX_BYTES = 1_048_576
_WHO = "IANA's list of RDAP servers"


class Registries:
    """The servers of all registries. A list that cannot be renewed is used for longer."""

    def __init__(
        self, file: Path, fetch: Fetch, url: str = IANA_URL, clock: Callable[[], float] = time.time
    ) -> None:
        self._file = file
        self._fetch = fetch
        self._url = url
        self._clock = clock
        self._servers: Mapping[str, str] = {}
        self._renew_at = float("-inf")

    async def server_of(self, domain: str, monitor: Monitor) -> str:
        """Return the server that knows a domain; the list is fetched by the connection of this monitor.

        Raises:
            UnknownError: there is none, or the list cannot be had.
            OwnTroubleError: this machine cannot fetch the list.

        """
        if not self._servers:
            await asyncio.to_thread(self._read)
        if self._clock() >= self._renew_at:
            await self._renew(monitor)
        server = server_of(domain, self._servers)
        if server is None:
            raise UnknownError(f"no RDAP server is known for .{domain.rpartition('.')[2]}", DAY_S)
        return server

    async def _renew(self, monitor: Monitor) -> None:
        now = self._clock()
        try:
            body = good_body(await self._fetch(request(self._url, monitor)), _WHO, now)
            self._servers = servers_in(body)
        except (UnknownError, ValueError) as error:
            if not self._servers:
                raise UnknownError(f"no RDAP server is known: {error}", HOUR_S) from error
            self._renew_at = now + HOUR_S
            return
        self._renew_at = now + KEPT_S
        await asyncio.to_thread(self._write, body)

    def _read(self) -> None:
        try:
            self._servers = servers_in(read_file(self._file, _MAX_BYTES))
            self._renew_at = self._file.stat().st_mtime + KEPT_S
        except (OSError, ValueError):
            self._servers = {}

    def _write(self, content: bytes) -> None:
        new = self._file.with_suffix(".new")
        try:
            new.write_bytes(content)
            new.replace(self._file)
        except OSError as error:
            log.warning("%s cannot be written: %s", self._file, error.strerror)
