"""Everything through PgBouncer, in each of its modes."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from monitor.storage.database import Database, StoreUnavailableError
from monitor.storage.expiry import KeptDays, expire
from tests.pooler import LIMITS, PATH, pgbouncer
from tests.postgres import PostgresServer, result_store
from tests.program import Start, until
from tests.receivers import HttpReceiver
from tests.storage.test_expiry import FAILED, on
from tests.storage.test_results import slots
from tests.web.test_site import get

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(not shutil.which("pgbouncer", path=PATH), reason="needs pgbouncer"),
]

TWO = "default_pool_size = 2"
IGNORING = (
    "default_pool_size = 2\n"
    "ignore_startup_parameters = lock_timeout,statement_timeout,idle_in_transaction_session_timeout"
)


@pytest.fixture(params=[("session", ""), ("transaction", TWO), ("transaction", IGNORING)])
def bouncer(request: pytest.FixtureRequest, postgres_server: PostgresServer) -> Iterator[str]:
    mode, more = request.param
    with pgbouncer(postgres_server, mode, more) as uri:
        yield uri


async def test_processes_migrate_and_store_at_once_through_pgbouncer(
    bouncer: str, empty_database: str
) -> None:
    uri = bouncer + urlsplit(empty_database).path[1:]
    stores = [result_store(uri) for _ in range(3)]

    new = await asyncio.gather(*(store.save(slots(3)) for store in stores))
    settings = await asyncio.gather(*(stores[0].database.fetch(LIMITS) for _ in range(20)))

    assert sum(new) == 3
    assert {tuple(found) for ((found,),) in settings} == {("10s", "30s", "1min")}
    for store in stores:
        await store.database.close()


async def test_what_is_too_old_is_removed_through_pgbouncer(bouncer: str, empty_database: str) -> None:
    store = result_store(bouncer + urlsplit(empty_database).path[1:])
    await store.save([on(4, **FAILED), on(6, **FAILED)])

    await expire(store.database, KeptDays(5, 90, 3))

    bare = "SELECT FROM {} WHERE data IS NULL AND NOT up"
    for table in ("health_data", "health_failures"):
        assert len(await store.database.fetch(bare.format(table))) == 1
    await store.database.close()


async def test_the_whole_program_works_behind_pgbouncer(
    program: Start, bouncer: str, empty_database: str, receiver: HttpReceiver
) -> None:
    sites = [{"name": name, "url": "http://127.0.0.1:1/", "interval_s": 0.5} for name in ("shop", "blog")]
    channels = {"hook": {"webhook": receiver.url, "secret": "s3cret"}}
    uri = bouncer + urlsplit(empty_database).path[1:]
    monitor = program(pg_uri=uri, monitors=sites, alerts={"channels": channels})
    monitor.start()

    def alerted() -> set[str]:
        return {json.loads(body)["title"] for _, body in receiver.requests}

    def everything_answers() -> None:
        for path in ("/", "/monitors/shop", "/incidents", "/pipeline", "/status", "/metrics", "/readyz"):
            assert get(monitor, path)[0] == 200, path
        for path in ("monitors", "monitors/shop/results?limit=5", "incidents", "uptime", "maintenance"):
            assert get(monitor, f"/api/v1/{path}")[0] == 200, path

    await asyncio.to_thread(until, lambda: {"shop is down", "blog is down"} <= alerted(), "alerts sent")
    for _ in range(5):
        await asyncio.to_thread(everything_answers)
    assert await asyncio.to_thread(monitor.stop) == 0

    assert "unavailable" not in monitor.printed()
    connection = await asyncpg.connect(empty_database)
    assert await connection.fetchval("SELECT count(DISTINCT monitor) FROM health_data") == 2
    await connection.close()


async def test_what_pgbouncer_cannot_do_is_said_with_what_to_do(
    postgres_server: PostgresServer, empty_database: str
) -> None:
    name = urlsplit(empty_database).path[1:]
    with pgbouncer(postgres_server, "statement") as uri:
        with pytest.raises(StoreUnavailableError) as by_statement:
            await Database(uri + name).open()
        with pytest.raises(StoreUnavailableError) as parameter:
            await Database(f"{uri}{name}?lock_timeout=5s").open()

    assert str(by_statement.value).endswith(": pool_mode must be transaction or session")
    assert str(parameter.value).endswith(
        ": unsupported startup parameter: lock_timeout: take it out of pg_uri, or let PgBouncer ignore it"
    )
