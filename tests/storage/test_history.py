"""The history of the embedded database on an older server, as the documentation takes it there."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import BUNDLED, DEBIAN, PostgresServer, result_store
from tests.program import ROOT
from tests.storage.test_results import query, slots

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(not DEBIAN.exists(), reason=f"no PostgreSQL server in {DEBIAN}"),
    pytest.mark.skipif(shutil.which("psql") is None, reason="needs psql"),
]


@pytest.fixture
def server() -> Iterator[str]:
    """The URI of an empty database whose role may only make tables."""
    made = PostgresServer(DEBIAN)
    try:
        made.start()
        made.sql("CREATE ROLE monitor LOGIN")
        made.sql("CREATE DATABASE health")
        made.sql("GRANT USAGE, CREATE ON SCHEMA public TO monitor", "health")
        yield made.uri("health").replace("postgres@", "monitor@")
    finally:
        made.remove()


async def test_the_history_goes_to_a_server(database: str, server: str, tmp_path: Path) -> None:
    before = result_store(database)
    await before.save(slots(5))
    await before.database.close()
    page = (ROOT / "docs/operations.md").read_text()
    block = re.search("<!-- history -->\n```sh\n(.*?)```", page, re.DOTALL)
    assert block
    moving = [line for line in block[1].splitlines() if line.startswith(("$BIN/pg_dump", "psql"))]

    await asyncio.to_thread(
        subprocess.run,
        ["sh", "-e", "-c", "\n".join(moving)],
        check=True,
        cwd=tmp_path,
        env=os.environ | {"BIN": str(BUNDLED), "OLD": database, "NEW": server},
    )

    after = result_store(server)
    assert await after.save(slots(7)) == 2
    await after.database.close()
    rows = await query(server, "SELECT id, scheduled_at, monitor FROM health_data ORDER BY id LIMIT 5")
    assert rows == await query(database, "SELECT id, scheduled_at, monitor FROM health_data ORDER BY id")
    ((highest,),) = await query(server, "SELECT max(id) FROM health_data")
    assert highest > rows[-1][0]
