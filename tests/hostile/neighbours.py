"""Others who write to the topic in Kafka and to the database, or let them refuse what the program stores."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import msgspec
from aiokafka import AIOKafkaProducer

from monitor.result import CheckResult, encode
from tests.fuzz.messages import good_result
from tests.hostile.cases import MB, Act, Case, Web
from tests.hostile.clients import BEARER, request
from tests.hostile.judging import unprintable
from tests.program import ROOT, Program, until
from tests.sites import answer, ok

LIMIT_S = 180.0
REFUSED = "refused by a neighbour"
CHANGES = 20_000
LISTENERS = 5

_REFUSE = """
CREATE FUNCTION hostile() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF starts_with(NEW.monitor, 'PostgreSQL: ') THEN
        RAISE EXCEPTION E'%\\x1b[2J\\nline', '{REFUSED}' USING ERRCODE = '22000';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER hostile BEFORE INSERT ON health_data FOR EACH ROW EXECUTE FUNCTION hostile();
""".replace("{REFUSED}", REFUSED)
_TAKE = "DROP FUNCTION IF EXISTS hostile() CASCADE"
_NO_DATA = """
SELECT count(*) FROM health_incidents
WHERE starts_with(monitor, 'PostgreSQL: ') AND kind = 'no_data' AND detail LIKE '%' || $1 || '%'
    AND ended_at IS {}
"""
_OLD_INCIDENT = """
INSERT INTO health_incidents (monitor, kind, started_at, noticed_at, ended_at)
VALUES ('m0', 'down', 1, 1, 2) RETURNING id
"""
_CHANGES = """
INSERT INTO health_changes (incident_id, monitor, kind, change, at, noticed_at, decided_at, detail)
SELECT $1, 'm0', 'down', 'opened', 1, 1, 1, repeat('x', 1000) FROM generate_series(1, $2)
"""
_FORGET = "DELETE FROM {} WHERE {} = $1"


@asynccontextmanager
async def _database(program: Program) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    connection = await asyncpg.connect(program.database())
    try:
        yield connection
    finally:
        await connection.close()


async def _wait(connection: "asyncpg.Connection[asyncpg.Record]", query: str, *values: object) -> bool:
    """Ask again and again; return whether anything was found in time."""
    ends = time.monotonic() + LIMIT_S
    while not await connection.fetchval(query, *values):
        if time.monotonic() > ends:
            return False
        await asyncio.sleep(0.2)
    return True


async def refuse(program: Program) -> str:
    """Refuse the results of a monitor until it has no data for that reason, then take them again."""
    async with _database(program) as connection:
        await connection.execute(_REFUSE)
        try:
            if not await _wait(connection, _NO_DATA.format("NULL"), REFUSED):
                return "no incident of no data with the reason"
        finally:
            await connection.execute(_TAKE)
        ended = await _wait(connection, _NO_DATA.format("NOT NULL"), REFUSED)
        return "" if ended else "the incident goes on"


def sending(*messages: tuple[bytes | None, bytes | None]) -> Act:
    """Send messages that are no results; each must be set aside."""

    async def act(program: Program) -> str:
        def set_aside() -> int:
            return program.printed().count(" cannot be stored, it goes to ")

        expected = set_aside() + len(messages)
        await _send(program, *messages)
        await asyncio.to_thread(until, lambda: set_aside() >= expected, "all are set aside", LIMIT_S)
        return ""

    return _run(act)


async def _send(program: Program, *messages: tuple[bytes | None, bytes | None]) -> None:
    broker = program.prints(r" broker: (\S+), topic (\S+)")
    async with AIOKafkaProducer(bootstrap_servers=broker[1], max_request_size=4 * MB) as producer:
        for key, value in messages:
            await producer.send_and_wait(broker[2], value, key=key)


def reported(form: str) -> Act:
    """Send a result of a monitor with escapes in its name and texts, and print a report."""

    async def act(program: Program) -> str:
        name = f"\x1b[2J\x07\x9b\u202e\r\n{uuid4()}"
        await _send(program, encode(_result(name)))
        async with _database(program) as connection:
            if not await _wait(connection, "SELECT count(*) FROM health_data WHERE monitor = $1", name):
                return "the result is not stored"
        return await asyncio.to_thread(_report, program, form, name[-36:])

    return _run(act)


def _result(name: str) -> CheckResult:
    now = time.time()
    texts = {"url": f"http://{name}/", "detail": name, "reason": "status"}
    return msgspec.structs.replace(
        good_result(name), id=uuid4(), monitor=name, timestamp=now, scheduled_at=now, **texts
    )


def _report(program: Program, form: str, expected: str) -> str:
    since = datetime.fromtimestamp(time.time() - 60, UTC).isoformat()
    period = ("--since", since, "--until", datetime.now(UTC).isoformat())
    command = [
        sys.executable,
        "main.py",
        "--config",
        str(program.path),
        "--report",
        "--format",
        form,
        *period,
    ]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=LIMIT_S, check=False)
    printed = (ended.stdout + ended.stderr).decode(errors="replace")
    if ended.returncode or expected not in printed:
        return f"exit code {ended.returncode}: {printed[-200:]!r}"
    return f"the report has {unprintable(printed)}" * bool(unprintable(printed))


async def replay(program: Program) -> str:
    """Store many changes, and let listeners ask for all of them; some leave in the middle."""
    web = Web.of(program)
    async with _database(program) as connection:
        incident = await connection.fetchval(_OLD_INCIDENT)
        try:
            await connection.execute(_CHANGES, incident, CHANGES)
            with ThreadPoolExecutor(2 * LISTENERS) as pool:
                leaving = [pool.submit(_listen, web, 100) for _ in range(LISTENERS)]
                staying = [pool.submit(_listen, web, CHANGES) for _ in range(LISTENERS)]
                counts = await asyncio.to_thread(lambda: [each.result() for each in (*leaving, *staying)])
        finally:
            for table, key in (("health_changes", "incident_id"), ("health_incidents", "id")):
                await connection.execute(_FORGET.format(table, key), incident)
    return "" if min(counts[LISTENERS:]) >= CHANGES else f"listeners got {counts}"


def _listen(web: Web, most: int) -> int:
    """Ask for all changes; return how many came, at most so many."""
    got = 0
    with web.connect() as connection, connection.makefile("rb") as lines:
        connection.sendall(request("GET /events HTTP/1.1", BEARER, "Last-Event-ID: 0"))
        for line in lines:
            got += line.startswith(b"event: change")
            if got == most:
                break
    return got


def _run(act: Callable[[Program], Coroutine[None, None, str]]) -> Act:
    return lambda program: asyncio.run(act(program))


def cases() -> Iterator[Case]:
    down = {"timeout_s": 2}
    site = answer(ok(b"hello"))
    yield Case("PostgreSQL", "refuses all results of a site", script=site, settings=down, act=_run(refuse))
    yield Case("PostgreSQL", f"{CHANGES:,} changes for each listener", act=_run(replay))
    values = [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"schema": 1}',
        b"\xff\xfe\0",
        b"[" * 100_000,
        b"x" * (MB // 2),
        None,
    ]
    keys = [b"m0", b"\x1b[2J\r\n", b"\xff\xfe", b"k" * 60_000, None]
    yield Case("Kafka", "messages that are no results", act=sending(*((b"m0", each) for each in values)))
    yield Case("Kafka", "keys that are no monitors", act=sending(*((each, b"{") for each in keys)))
    yield Case("Kafka", "1,000 messages that are no results", act=sending(*[(b"m0", b"\x1b" * 100)] * 1_000))
    for form in ("table", "csv", "json"):
        yield Case("Kafka", f"a name of escapes, in a report: {form}", act=reported(form))
