"""The schema, and the taking over of what the program's first version left."""

import asyncio
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from monitor.storage.database import Database
from monitor.storage.migrate import MIGRATIONS, Migration, SchemaError, migrate
from tests.postgres import PostgresServer, migrated, result_store
from tests.storage.test_results import SLOT, result

ORIGINAL = (
    "CREATE TABLE health_data (id serial PRIMARY KEY, timestamp double precision, data text, status integer,"
    " time double precision)"
)
OTHER_ORDER = (
    "CREATE TABLE health_data (time real, status smallint, data text NOT NULL, gone text, timestamp numeric,"
    " id serial PRIMARY KEY); ALTER TABLE health_data DROP COLUMN gone"
)
ORIGINAL_INSERT = "INSERT INTO health_data (timestamp, data, status, time) VALUES ($1, $2, $3, $4)"
FIRST_COLUMNS = ["id", "timestamp", "data", "status", "time"]


async def run(uri: str, *statements: str) -> None:
    connection = await asyncpg.connect(uri)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def rows(uri: str, query: str = "SELECT * FROM health_data ORDER BY id") -> list[Any]:
    connection = await asyncpg.connect(uri)
    found: list[Any] = await connection.fetch(query)
    await connection.close()
    return found


async def test_a_fresh_table_begins_with_the_five_original_columns(database: str) -> None:
    columns = await rows(
        database,
        "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = 'health_data'::regclass AND attnum > 0 ORDER BY attnum",
    )

    assert [tuple(column) for column in columns] == [
        ("id", "bigint"),
        ("timestamp", "double precision"),
        ("data", "text"),
        ("status", "integer"),
        ("time", "double precision"),
        ("result_id", "uuid"),
        ("monitor", "text"),
        ("url", "text"),
        ("location", "text"),
        ("scheduled_at", "double precision"),
        ("up", "boolean"),
        ("reason", "text"),
        ("detail", "text"),
        ("resolve_s", "real"),
        ("connect_s", "real"),
        ("tls_s", "real"),
        ("processing_s", "real"),
        ("transfer_s", "real"),
        ("redirects", "integer"),
        ("http_version", "text"),
        ("ip", "inet"),
        ("body_bytes", "bigint"),
        ("body_truncated", "boolean"),
        ("certificate_expires_at", "timestamp with time zone"),
        ("degraded", "boolean"),
        ("tls", "jsonb"),
        ("evidence", "jsonb"),
        ("steps", "jsonb"),
    ]


@pytest.mark.parametrize(
    ("encoding", "mistake"),
    [
        ("SQL_ASCII", None),
        ("LATIN1", "the database cannot hold every page: its encoding is LATIN1; must be UTF8"),
    ],
)
async def test_a_database_that_lacks_characters_is_refused(
    postgres_server: PostgresServer, encoding: str, mistake: str | None
) -> None:
    name = f"t{uuid4().hex}"
    postgres_server.sql(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
    store = result_store(postgres_server.uri(name))
    refused = None

    try:
        assert await store.save([result(SLOT, response_data="日本")]) == 1
    except SchemaError as error:
        refused = str(error)
    await store.database.close()

    assert refused == mistake
    postgres_server.sql(f"DROP DATABASE {name}")


async def test_the_original_program_may_insert_into_a_fresh_table(database: str) -> None:
    connection = await asyncpg.connect(database)

    await connection.execute(ORIGINAL_INSERT, 1.5, "<html>", 200, 0.25)
    await connection.execute(ORIGINAL_INSERT, 2.5, "<html>", 200, 0.25)

    found = await connection.fetch("SELECT * FROM health_data ORDER BY id")
    assert [tuple(row)[:5] for row in found] == [(1, 1.5, "<html>", 200, 0.25), (2, 2.5, "<html>", 200, 0.25)]
    await connection.close()


@pytest.mark.parametrize(
    "table",
    [
        ORIGINAL,
        ORIGINAL.replace("serial", "bigserial"),
        ORIGINAL.replace("serial", "bigint GENERATED ALWAYS AS IDENTITY"),
        ORIGINAL.replace("id serial PRIMARY KEY", "id integer"),
        ORIGINAL.replace("timestamp double precision", "timestamp numeric"),
        ORIGINAL.replace("data text", "data varchar"),
        OTHER_ORDER,
        ORIGINAL + "; ALTER SEQUENCE health_data_id_seq RENAME TO another_seq",
    ],
)
async def test_every_row_of_an_original_table_is_taken_over(empty_database: str, table: str) -> None:
    await run(
        empty_database,
        *table.split(";"),
        "INSERT INTO health_data (id, timestamp, data, status, time) OVERRIDING SYSTEM VALUE"
        " SELECT n, 1600000000.25 + n, repeat('ä', n * 1000), CASE WHEN n % 3 > 0 THEN 200 END, 0.125"
        " FROM generate_series(1, 50) AS n",
    )
    before = await rows(
        empty_database,
        "SELECT id::bigint, timestamp::float8, data, status::int, time::float8 FROM health_data",
    )

    await migrated(empty_database)

    after = await rows(empty_database)
    assert list(after[0].keys())[:5] == FIRST_COLUMNS
    assert [tuple(row)[:5] for row in after] == sorted(tuple(row) for row in before)
    assert not any(any(tuple(row)[5:]) for row in after)


async def test_ids_go_on_above_the_highest_that_the_original_gave(empty_database: str) -> None:
    insert = "INSERT INTO health_data (timestamp, data, status, time) VALUES (1, '', 200, 1)"
    await run(empty_database, ORIGINAL, *[insert] * 3, "DELETE FROM health_data WHERE id = 3")

    await migrated(empty_database)
    await run(empty_database, insert)

    assert [row["id"] for row in await rows(empty_database)] == [1, 2, 4]


async def test_an_empty_original_table_is_taken_over(empty_database: str) -> None:
    await run(empty_database, ORIGINAL)

    await migrated(empty_database)

    await run(
        empty_database, "INSERT INTO health_data (timestamp, data, status, time) VALUES (1, '', 200, 1)"
    )
    assert [row["id"] for row in await rows(empty_database)] == [1]


async def test_the_original_program_may_go_on_with_a_statement_that_it_has_prepared(
    empty_database: str,
) -> None:
    await run(empty_database, ORIGINAL)
    original = await asyncpg.connect(empty_database)
    insert = await original.prepare(ORIGINAL_INSERT)
    await insert.fetch(1.0, "before", 200, 0.5)

    await migrated(empty_database)
    await insert.fetch(2.0, "after", 200, 0.5)
    await original.execute(ORIGINAL.replace("TABLE", "TABLE IF NOT EXISTS"))

    assert [row["data"] for row in await rows(empty_database)] == ["before", "after"]
    await original.close()


async def test_who_could_read_the_original_table_can_read_ours(
    empty_database: str, postgres_server: PostgresServer
) -> None:
    postgres_server.sql("CREATE ROLE reader")
    await run(
        empty_database,
        ORIGINAL,
        "GRANT SELECT ON health_data TO reader WITH GRANT OPTION",
        "GRANT INSERT ON health_data TO PUBLIC",
    )

    await migrated(empty_database)

    await run(
        empty_database, "SET ROLE reader; SELECT * FROM health_data; GRANT SELECT ON health_data TO PUBLIC"
    )
    await run(empty_database, "DROP OWNED BY reader CASCADE; DROP ROLE reader")


@pytest.mark.parametrize(
    "stranger",
    [
        "CREATE TABLE health_data (id serial, patient text)",
        ORIGINAL.replace("data text", "data jsonb"),
        ORIGINAL[:-1] + ", note text)",
        "CREATE VIEW health_data AS SELECT 1 id, 1.0 AS timestamp, ''::text AS data, 1 status, 1.0 AS time",
    ],
)
async def test_a_table_of_somebody_else_is_left_alone(empty_database: str, stranger: str) -> None:
    await run(empty_database, stranger)

    with pytest.raises(SchemaError, match="health_data that this program did not make"):
        await Database(empty_database).open()

    tables = await rows(
        empty_database,
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')",
    )
    assert [row["relname"] for row in tables] == ["health_data"]


async def test_a_row_that_cannot_be_kept_as_it_is_stops_the_take_over(empty_database: str) -> None:
    huge = "INSERT INTO health_data (timestamp) VALUES (1" + "0" * 400 + ")"
    await run(empty_database, ORIGINAL.replace("timestamp double precision", "timestamp numeric"), huge)

    with pytest.raises(SchemaError, match="this database cannot be used"):
        await Database(empty_database).open()

    assert len(await rows(empty_database)) == 1


async def test_many_processes_may_migrate_at_once(empty_database: str) -> None:
    await run(empty_database, ORIGINAL)

    await asyncio.gather(*(migrated(empty_database) for _ in range(8)))

    applied = await rows(empty_database, "SELECT version, name, checksum FROM health_schema")
    assert [tuple(row) for row in applied] == [(m.version, m.name, m.checksum) for m in MIGRATIONS]


async def test_a_new_partition_needs_no_scan_of_the_original_rows(database: str) -> None:
    connection = await asyncpg.connect(database)
    messages: list[str] = []
    connection.add_log_listener(lambda _, message: messages.append(message.message))
    await connection.execute("SET client_min_messages = debug1")

    await connection.execute(
        "CREATE TABLE day (LIKE health_data);"
        "ALTER TABLE health_data ATTACH PARTITION day FOR VALUES FROM (0) TO (1)"
    )

    assert any("default partition" in line and "implied by existing constraints" in line for line in messages)
    await connection.close()


async def test_a_database_that_is_newer_than_the_program_is_refused(database: str) -> None:
    await run(database, "INSERT INTO health_schema VALUES (9999, 'from_the_future', '')")

    with pytest.raises(SchemaError, match="newer than this program: it has migration 9999"):
        await Database(database).open()


async def test_a_database_that_was_migrated_by_another_text_is_refused(database: str) -> None:
    await run(database, "UPDATE health_schema SET checksum = 'another'")

    with pytest.raises(SchemaError, match="migration 1 of the database is not this program's"):
        await Database(database).open()


async def test_a_fresh_database_is_migrated_without_a_line(
    empty_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        await migrated(empty_database)

    assert caplog.messages == []


async def test_a_migration_takes_longer_than_a_statement_may(empty_database: str) -> None:
    impatient = {"statement_timeout": "500ms"}
    connection = await asyncpg.connect(empty_database, server_settings=impatient)

    await migrate(connection, [Migration(1, "long", "SELECT pg_sleep(0.6)")])

    assert await connection.fetchval("SELECT name FROM health_schema") == "long"
    await connection.close()


async def test_a_migration_that_fails_leaves_the_earlier_ones(empty_database: str) -> None:
    connection = await asyncpg.connect(empty_database)
    steps = [
        Migration(1, "good", "CREATE TABLE good ()"),
        Migration(2, "bad", "CREATE TABLE half (); SELECT 1 / 0"),
    ]

    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(connection, steps)
    await migrate(connection, [steps[0], steps[1]._replace(sql="CREATE TABLE half ()")])

    versions = await connection.fetch("SELECT version FROM health_schema ORDER BY version")
    assert [row["version"] for row in versions] == [1, 2]
    await connection.close()
