"""The program with ten healthy monitors, and what is seen of it while something hostile happens."""

import asyncio
import json
import math
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
import psutil

from tests.chaos import account
from tests.chaos.site import Site
from tests.chaos.starvation import starved_s, waits
from tests.hostile import files, machine
from tests.hostile.cases import MB, Case, Damage, Web, placed
from tests.hostile.clients import TOKEN, get
from tests.hostile.judging import INTERVAL_S, Row, Seen, lateness_s
from tests.hostile.tokens import PROXY
from tests.program import Program
from tests.sites import sites

HEALTHY = tuple(f"m{number}" for number in range(10))
LIMIT_S = 60.0
LOOK_S = 0.1
TIMEOUT_S = 20.0  # of hostile monitors that are not meant to run into it: the machine may be busy

_ROWS = """
SELECT id, monitor, data, up, reason, scheduled_at, timestamp, time,
    (health_data::text LIKE '%hostile-secret-%') AS has_secret
FROM health_data WHERE id > $1 ORDER BY id
"""


class World:
    """The healthy site and the program that checks it."""

    def __init__(self, folder: Path, port: int, site: Site) -> None:
        self.program = Program(folder, {})
        self.program.script = ("-m", "tests.chaos.watched", str(folder / "stalls"))
        machine.prepare(self.program)
        self.bare_s = 0.0
        self.rows: list[Row] = []
        self._site = site
        self._port = port
        self._files: int | None = None
        self._last_id = 0
        self._known: set[tuple[str, int]] = set()  # losses and doubles that were reported

    async def start(self) -> None:
        """Start the program; return when results of all healthy monitors are stored."""
        self.restore()
        started = self.program.printed().count(" web: http")
        await asyncio.to_thread(self.program.start)
        if self._files is not None:
            self.program.process.rlimit(psutil.RLIMIT_NOFILE, (self._files, self._files))
        await asyncio.to_thread(self.program.prints, r" web: http", started + 1, 2 * LIMIT_S)
        self.web = Web.of(self.program)
        self._database = self.program.database()
        self._last_id, self.rows = 0, []
        await self.wait(lambda: {row.monitor for row in self.rows} >= set(HEALTHY), "all are checked")

    async def _limit(self, files: int | None) -> None:
        """Start the program with this limit of open files, unless it has it."""
        if files != self._files:
            self._files = files
            await asyncio.to_thread(self.program.end)
            await self.start()

    def restore(self, *hostile: dict[str, Any], **keys: Any) -> None:
        """Write a good configuration, with these keys too, in the place of whatever is there."""
        if not files.is_file(self.program.path):
            files.remove(self.program.path)
        site = f"http://127.0.0.1:{self._port}"
        healthy = [{"name": name, "url": f"{site}/{name}"} for name in HEALTHY]
        named = {"name": "names files", "url": site, "paused": True, **files.named(self.program.folder)}
        config = {
            "location": "hostile",
            "web_token": TOKEN,
            "trusted_proxies": [PROXY],
            "max_checks_per_host": 100,
            "defaults": {"interval_s": INTERVAL_S},
            "monitors": [*healthy, named, *hostile],
            **keys,
        }
        self.program.write(config)

    async def run(self, case: Case | None, seconds: float) -> Seen:
        """Let this happen for so many seconds, or as long as it takes; nothing, where there is no case."""
        await self._limit(case.files if case else None)
        await self.caught_up(time.time(), set())
        with self._measured() as seen, ExitStack() as stack:
            watching = asyncio.create_task(self._watch(seen))
            try:
                if case is not None:
                    await self._happen(case, seen, stack, seconds)
                await asyncio.sleep(seen.began_at + seconds - time.time())
                seen.ended_at = time.time()
            except TimeoutError as error:
                seen.trouble.append(str(error))
                seen.ended_at = time.time()
            finally:
                watching.cancel()
            await self._note_rows(case, seen)
            await asyncio.to_thread(stack.close)
        return seen

    async def _happen(self, case: Case, seen: Seen, stack: ExitStack, seconds: float) -> None:
        if case.has_results:
            await self._check(case, stack, seconds)
        if case.client is not None:
            seen.trouble += filter(None, [await asyncio.to_thread(self._ask, case)])
        if case.act is not None:
            seen.trouble += filter(None, [await asyncio.to_thread(case.act, self.program)])
        if case.damage is not None:
            await self._damage(case.damage, seconds if case.script else 0)

    async def _check(self, case: Case, stack: ExitStack, seconds: float) -> None:
        url = self.serve(case, stack)
        self.restore(self.hostile(case, url), **placed(case.keys, url))
        await self.wait(lambda: bool(self._results(case)), "a result of the site")
        if case.asked is not None:
            await self.wait(case.asked.is_set, "the site was sent an alert", 2 * LIMIT_S)
            await asyncio.sleep(seconds)

    async def _damage(self, damage: Damage, seconds: float) -> None:
        await asyncio.to_thread(damage, self.program.path)
        try:
            await self._reload(successful=False)
            await asyncio.sleep(seconds)
        finally:
            self.restore()
        await self._reload(successful=True)

    def serve(self, case: Case, stack: ExitStack) -> str:
        """Start the site or the DNS server, until the stack ends; return its URL."""
        if case.dns is not None:
            server = case.dns()
            stack.callback(server.end)
            return f"dns://{server.address}"
        assert case.script
        start = stack.enter_context(sites())
        url = start(case.script, case.tls and case.tls(self.program.folder))
        return url.replace("http:", f"{case.scheme}:", 1) if case.tls is None else url

    def hostile(self, case: Case, url: str) -> dict[str, Any]:
        """Return the monitor of a site with this URL."""
        usual = {"timeout_s": TIMEOUT_S, "ca_file": str(self.program.folder / files.CA)}
        place = {} if "steps" in case.settings else {"url": f"{url}/"}
        return {"name": str(case), **place, **usual, **placed(case.settings, url)}

    def _ask(self, case: Case) -> str:
        assert case.client
        try:
            return case.client(self.web)
        except OSError as error:
            return f"a client failed: {error}"

    async def _reload(self, *, successful: bool) -> None:
        pattern = re.compile(rb"\nconfig_last_reload_successful %d" % successful)
        ends = time.monotonic() + LIMIT_S
        while not pattern.search(await asyncio.to_thread(self.web.ask, get("/metrics"))):
            if time.monotonic() > ends:
                raise TimeoutError(f"config_last_reload_successful is not {successful:d}")
            await asyncio.sleep(LOOK_S)

    def _results(self, case: Case) -> list[Row]:
        return [row for row in self.rows if row.monitor == str(case)]

    async def _note_rows(self, case: Case | None, seen: Seen) -> None:
        found = await self.caught_up(seen.ended_at, self._known)
        seen.lost, seen.doubled = len(found.lost), len(found.doubled)
        self._known |= {*found.lost, *found.doubled}
        seen.healthy = [row for row in self.rows if row.monitor in HEALTHY]
        if case is not None:
            seen.hostile = [row for row in self._results(case) if row.ended_at < seen.ended_at]

    async def caught_up(self, at: float, known: set[tuple[str, int]]) -> account.Account:
        """Wait until all that was answered up to this time is stored; return the account, without `known`."""
        answered = {
            name: [when for when in times if when < at] for name, times in self._site.answered.items()
        }
        ends = time.monotonic() + LIMIT_S
        while True:
            await self.read()
            rows = [
                account.Row(row.monitor, row.number, bool(row.up), row.reason)
                for row in self.rows
                if row.monitor in HEALTHY
            ]
            found = account.account(answered, rows, [])
            found.lost = [each for each in found.lost if each not in known]
            found.doubled = [each for each in found.doubled if each not in known]
            if not found.lost or time.monotonic() > ends or not self.program.runs:
                return found
            await asyncio.sleep(LOOK_S)

    async def wait(self, holds: Any, what: str, limit_s: float = LIMIT_S) -> None:
        """Read rows until it holds."""
        ends = time.monotonic() + limit_s
        while not holds():
            if time.monotonic() > ends or not self.program.runs:
                raise TimeoutError(f"not {what} within {limit_s:g} s")
            await asyncio.sleep(LOOK_S)
            await self.read()

    async def read(self) -> None:
        """Read the rows that are new."""
        try:
            connection = await asyncpg.connect(self._database, timeout=LIMIT_S)
        except (OSError, asyncpg.PostgresError):
            return
        try:
            found = await connection.fetch(_ROWS, self._last_id)
        except asyncpg.UndefinedTableError:
            found = []
        finally:
            await connection.close()
        for row in found:
            self._last_id = row["id"]
            self.rows.append(_row(row))

    @contextmanager
    def _measured(self) -> Iterator[Seen]:
        """Measure what the program and this process wait for, print, and keep the loop for."""
        pid = self.program.process.pid
        stalls = self.program.folder / "stalls"
        before, own = waits(pid), waits()
        printed, stalled = self.program.stderr.stat().st_size, _size(stalls)
        seen = Seen(time.time(), time.time())
        yield seen
        if self.program.runs:
            seen.starved_s = starved_s(before, waits(pid)) + starved_s(own, waits())
        else:
            seen.trouble.append(f"the program ended with {self.program.wait()}")
        seen.printed = _since(self.program.stderr, printed)
        lines = _since(stalls, stalled).splitlines() if _size(stalls) else []
        seen.turn_s = max([0.0, *(json.loads(line)["cpu_s"] for line in lines)])

    async def _watch(self, seen: Seen) -> None:
        process = psutil.Process(self.program.process.pid)
        while self.program.runs:
            seen.memory_mb = max(seen.memory_mb, process.memory_info().rss / MB)
            await asyncio.sleep(LOOK_S)

    async def measure_bare(self, seconds: float) -> Seen:
        """Measure how late checks start when nothing is hostile."""
        seen = await self.run(None, seconds)
        self.bare_s = max([0.0, *(each for each in lateness_s(seen, HEALTHY) if each < math.inf)])
        return seen


def _row(row: Any) -> Row:
    _, _, number = row["data"].partition(" ")
    healthy = row["monitor"] in HEALTHY
    started_at = row["timestamp"]
    return Row(
        row["monitor"],
        int(number) if healthy and number.isdigit() else None,
        row["up"],
        row["reason"],
        row["scheduled_at"],
        started_at,
        started_at + row["time"],
        row["has_secret"],
    )


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _since(file: Path, offset: int) -> str:
    with file.open("rb") as opened:
        opened.seek(offset)
        return opened.read().decode(errors="replace")


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """Start the site and the program; in the end, both are ended."""
    site = Site()
    with TemporaryDirectory(prefix="whm-", dir="/tmp") as folder:
        made = World(Path(folder), await site.start(), site)
        try:
            await made.start()
            yield made
        finally:
            await asyncio.to_thread(made.program.end)
            await site.stop()
