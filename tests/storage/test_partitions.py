"""The partition of a day, on servers that can compress in two ways and in one."""

from collections.abc import Iterator

import pytest

from tests.postgres import DEBIAN, PostgresServer, result_store
from tests.storage.test_results import query, result

LONG = "Not found. " * 2_000


async def compression(database: str) -> str:
    """Return how PostgreSQL has compressed a long body."""
    store = result_store(database)
    await store.save([result(response_data=LONG)])
    await store.database.close()
    ((data, method),) = await query(database, "SELECT data, pg_column_compression(data) FROM health_data")
    assert data == LONG
    return str(method)


@pytest.fixture
def debian() -> Iterator[str]:
    server = PostgresServer(DEBIAN)
    try:
        server.start()
        yield server.uri()
    finally:
        server.remove()


@pytest.mark.clients
@pytest.mark.skipif(not DEBIAN.exists(), reason=f"no PostgreSQL server in {DEBIAN}")
async def test_long_texts_are_compressed_with_lz4_where_the_server_has_it(debian: str) -> None:
    assert await compression(debian) == "lz4"

    columns = await query(
        debian,
        "SELECT attname::text FROM pg_attribute"
        " WHERE attrelid = 'health_data_20251009'::regclass AND attcompression = 'l' ORDER BY 1",
    )
    assert [row[0] for row in columns] == ["data", "evidence", "tls"]


async def test_other_servers_compress_as_they_do_by_default(database: str) -> None:
    assert await compression(database) == "pglz"
