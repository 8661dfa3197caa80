"""The least that the role of the program needs, as the documentation has it."""

import asyncio
import json
import re
from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from monitor.storage.expiry import KeptDays, expire
from tests.postgres import PostgresServer, result_store
from tests.program import ROOT, Start, until
from tests.receivers import HttpReceiver
from tests.storage.test_expiry import FAILED, on
from tests.web.test_site import get


def documented(name: str) -> list[str]:
    """The statements of a block of the documentation."""
    page = (ROOT / "docs/deploy.md").read_text()
    block = re.search(f"<!-- {name} -->\n```sql\n(.*?)```", page, re.DOTALL)
    assert block
    return block[1].strip().splitlines()


@pytest.fixture
def limited(postgres_server: PostgresServer, empty_database: str) -> Iterator[str]:
    """The URI of a database for a role that has what the documentation gives it."""
    database, role = urlsplit(empty_database).path[1:], f"r{uuid4().hex}"
    for statement in documented("rights"):
        if not statement.startswith(("CREATE DATABASE", r"\connect")):
            named = re.sub(r"\bmonitor\b", role, re.sub(r"\bhealth\b", database, statement))
            postgres_server.sql(named, database)
    yield empty_database.replace("postgres@", f"{role}@")
    postgres_server.disconnect(database)
    postgres_server.sql(f"DROP OWNED BY {role}", database)
    postgres_server.sql(f"DROP ROLE {role}")


async def test_the_program_needs_no_more_rights_than_documented(
    program: Start, limited: str, receiver: HttpReceiver
) -> None:
    sites = [{"name": "shop", "url": "http://127.0.0.1:1/", "interval_s": 0.5}]
    channels = {"hook": {"webhook": receiver.url, "secret": "s3cret"}}
    monitor = program(pg_uri=limited, monitors=sites, alerts={"channels": channels})
    monitor.start()

    def alerted() -> set[str]:
        return {json.loads(body)["title"] for _, body in receiver.requests}

    await asyncio.to_thread(until, lambda: "shop is down" in alerted(), "alert sent")
    for path in ("/", "/monitors/shop", "/incidents", "/status", "/readyz"):
        status, _ = await asyncio.to_thread(get, monitor, path)
        assert status == 200, path
    assert await asyncio.to_thread(monitor.stop) == 0

    assert "permission denied" not in monitor.printed()


async def test_a_report_needs_no_right_but_to_read(
    program: Start, postgres_server: PostgresServer, limited: str
) -> None:
    store = result_store(limited)
    await store.save([on(1)])
    await store.database.close()
    role, database = urlsplit(limited).username, urlsplit(limited).path[1:]
    postgres_server.sql(f"REVOKE CREATE ON SCHEMA public FROM {role}", database)
    postgres_server.sql(f"ALTER ROLE {role} SET default_transaction_read_only = on")

    period = ("--since", "2000-01-01", "--until", "2100-01-01")
    monitor = program(pg_uri=limited, url_to_monitor="http://127.0.0.1:1/")
    code, printed = await asyncio.to_thread(monitor.run, "--report", *period, "--format", "csv")

    assert (code, "\nshop," in printed, monitor.printed()) == (0, True, "")


async def test_to_remove_what_is_too_old_needs_no_more_rights_than_documented(limited: str) -> None:
    store = result_store(limited)
    await store.save([on(4, **FAILED), on(6, **FAILED)])

    await expire(store.database, KeptDays(5, 90, 3))

    bare = "SELECT FROM {} WHERE data IS NULL AND NOT up"
    for table in ("health_data", "health_failures"):
        assert len(await store.database.fetch(bare.format(table))) == 1
    await store.database.close()
