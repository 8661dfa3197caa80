"""When the database is unavailable, and what an error shows of it."""

import asyncio
import contextlib
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import trustme

from monitor.storage import database as database_module
from monitor.storage.database import Database, StoreUnavailableError, server_of, system_trust
from monitor.storage.migrate import SchemaError
from monitor.storage.results import ResultStore
from tests.postgres import PostgresServer, result_store
from tests.storage.test_results import result, slots


@pytest.mark.parametrize(
    "outage",
    [
        "DROP TABLE health_data",
        "ALTER DATABASE {name} SET default_transaction_read_only = on",
        "ALTER DATABASE {name} ALLOW_CONNECTIONS false",
    ],
)
async def test_trouble_of_the_database_blames_no_result(
    database: str, store: ResultStore, postgres_server: PostgresServer, outage: str
) -> None:
    name = urlsplit(database).path[1:]
    await store.save([result()])
    postgres_server.sql(outage.format(name=name), "postgres" if "ALTER" in outage else name)
    postgres_server.disconnect(name)

    for _ in "the broken connection", "a new one":
        with pytest.raises(StoreUnavailableError) as refused:
            await store.save(slots(2))
        assert "\n" not in str(refused.value)


async def test_a_database_with_a_locked_table_is_unavailable(database: str, store: ResultStore) -> None:
    owner = await asyncpg.connect(database)
    async with owner.transaction():
        await owner.execute("LOCK TABLE health_data")

        with pytest.raises(StoreUnavailableError, match="lock timeout"):
            await store.save([result()])

    assert await store.save([result()]) == 1
    await owner.close()


async def test_a_user_is_missed_where_the_account_has_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("PGUSER", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)  # as in a container with any user
    database = Database("postgresql://127.0.0.1:9/x")

    with pytest.raises(StoreUnavailableError) as refused:
        await database.open()

    assert str(refused.value).startswith("127.0.0.1:9: ")
    assert "no user" in str(refused.value).lower()


async def test_a_database_without_rights_on_it_is_unavailable(
    empty_database: str, postgres_server: PostgresServer
) -> None:
    postgres_server.sql("CREATE ROLE guest LOGIN")

    with pytest.raises(StoreUnavailableError, match="permission denied"):
        await Database(empty_database.replace("postgres@", "guest@")).open()

    postgres_server.sql("DROP ROLE guest")


async def test_a_database_that_is_not_there_is_unavailable(postgres_server: PostgresServer) -> None:
    with pytest.raises(StoreUnavailableError) as refused:
        await Database(postgres_server.uri("missing")).open()

    assert str(refused.value).endswith(" has no database missing")


async def test_a_password_that_is_wrong_is_said_so() -> None:
    async with await asyncio.start_server(_refuse_password, "127.0.0.1", 0) as guarded:
        port = guarded.sockets[0].getsockname()[1]

        with pytest.raises(StoreUnavailableError) as refused:
            await Database(f"postgresql://ada:s3cret@127.0.0.1:{port}/db?sslmode=disable").open()

    assert str(refused.value) == f"127.0.0.1:{port} refuses the user ada or the password"


async def _refuse_password(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer like PostgreSQL that asks for a password, and takes none."""
    await reader.read(1_000)
    fields = b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user\0\0"
    writer.write(b"R" + (8).to_bytes(4) + (3).to_bytes(4))
    writer.write(b"E" + (len(fields) + 4).to_bytes(4) + fields)
    writer.close()
    await writer.wait_closed()


async def test_a_server_that_closes_the_connection_is_said_so() -> None:
    async with await asyncio.start_server(_read_and_close, "127.0.0.1", 0) as closing:
        port = closing.sockets[0].getsockname()[1]

        with pytest.raises(StoreUnavailableError) as refused:
            await Database(f"postgresql://127.0.0.1:{port}/db").open()

    assert str(refused.value) == f"127.0.0.1:{port} closed the connection"


async def _read_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End as a proxy does that has no server behind it."""
    await reader.read(1_000)
    writer.close()
    await writer.wait_closed()


async def test_a_server_that_does_not_listen_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError) as refused:
        await Database("postgresql://127.0.0.1:9/x").open()
    with pytest.raises(StoreUnavailableError) as no_socket:
        await Database(f"postgresql:///x?host={tmp_path}").open()

    assert str(refused.value) == "127.0.0.1:9: connection refused"
    assert str(no_socket.value).startswith(f"{tmp_path}: ")


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("postgresql://ada:s3cret@db.example/shop", "db.example:5432"),
        ("postgresql://db.example:5433/shop", "db.example:5433"),
        ("postgresql://[::1]/shop", "[::1]:5432"),
        ("postgresql://[::1]:5433/shop", "[::1]:5433"),
        ("postgresql://a:5433,b/shop", "a:5433,b:5432"),
        ("postgresql:///shop?host=db&port=1", "db:1"),
        ("postgresql:///shop?host=%2Frun%2Fpg", "/run/pg"),
        ("postgresql:///shop", "localhost:5432"),
    ],
)
def test_a_server_is_known_by_its_address(uri: str, address: str) -> None:
    assert server_of(uri) == address


async def test_an_error_never_shows_the_password() -> None:
    for password in ("s3cret", "s3%2Fcret"):
        with pytest.raises(StoreUnavailableError) as refused:
            await Database(f"postgresql://monitor:{password}@{password}:1/db").open()
        assert "cret" not in str(refused.value)


@pytest.mark.parametrize(
    "uri", ["postgresql://monitor:s3/cret@localhost/db", "postgresql://localhost/db?sslmode=maybe"]
)
async def test_a_malformed_address_is_an_error_at_once(uri: str) -> None:
    with pytest.raises(SchemaError) as refused:
        await Database(uri).open()

    assert "cret" not in str(refused.value)


async def test_a_server_that_is_killed_is_unavailable_and_then_answers_again(
    own_postgres_server: PostgresServer,
) -> None:
    store = result_store(own_postgres_server.uri())
    await store.save(slots(1))

    own_postgres_server.kill()
    with pytest.raises(StoreUnavailableError):
        await store.save(slots(2))
    own_postgres_server.start()

    assert await store.save(slots(2)) == 1
    await store.database.close()


async def test_a_store_may_be_used_before_its_database_is_there(own_postgres_server: PostgresServer) -> None:
    own_postgres_server.stop()
    store = result_store(own_postgres_server.uri())

    with pytest.raises(StoreUnavailableError, match="no such file"):
        await store.save(slots(1))
    await store.database.close()
    own_postgres_server.start()

    assert await store.save(slots(1)) == 1
    await store.database.close()


@pytest.fixture
def patient_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let only the client's own limits end a statement."""
    monkeypatch.setattr(database_module, "_COMMAND_S", 3_600)
    for setting in ("statement_timeout", "idle_in_transaction_session_timeout"):
        monkeypatch.setitem(database_module._SETTINGS, setting, "0")


@pytest.mark.usefixtures("patient_server")
async def test_closing_does_not_wait_for_a_statement_that_does_not_end(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "_CLOSE_S", 0.05)
    running = asyncio.Event()

    async def endless() -> None:
        async with store.database.transaction() as connection:
            running.set()
            await connection.fetch("SELECT pg_sleep(600)")

    statement = asyncio.create_task(endless())
    await running.wait()

    async with asyncio.timeout(60):
        await store.database.close()

    with pytest.raises(StoreUnavailableError):
        await statement
    with pytest.raises(StoreUnavailableError, match="pool is closed"):
        await store.save(slots(1))


async def test_closing_lets_a_statement_end(store: ResultStore) -> None:
    running = asyncio.Event()

    async def short() -> None:
        async with store.database.transaction() as connection:
            running.set()
            await connection.fetch("SELECT pg_sleep(0.2)")

    statement = asyncio.create_task(short())
    await running.wait()

    await store.database.close()

    await statement


@pytest.mark.usefixtures("patient_server")
async def test_a_connection_that_does_not_become_free_is_not_waited_for(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.database.open()
    async with contextlib.AsyncExitStack() as busy:
        for _ in range(5):
            await busy.enter_async_context(store.database.transaction())
        monkeypatch.setattr(database_module, "_CONNECT_S", 0.05)

        async with asyncio.timeout(60):
            with pytest.raises(StoreUnavailableError, match="no answer in time"):
                await store.save(slots(1))


async def test_a_server_that_accepts_and_says_nothing_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "_CONNECT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        database = Database(f"postgresql://postgres@127.0.0.1:{silent.getsockname()[1]}/db?sslmode=disable")

        async with asyncio.timeout(30):
            with pytest.raises(StoreUnavailableError, match="no answer in time"):
                await database.open()


async def test_a_server_that_falls_silent_is_unavailable(
    own_postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(database_module._SETTINGS, "statement_timeout", "0")
    monkeypatch.setattr(database_module, "_COMMAND_S", 0.5)
    database = Database(own_postgres_server.uri())

    async with asyncio.timeout(60):
        with pytest.raises(StoreUnavailableError, match="no answer in time"):
            async with database.transaction() as connection:
                await connection.fetch("SELECT pg_sleep(600)")

    await database.close()


@pytest.mark.parametrize(
    ("query", "names_hosts"),
    [
        ("", None),
        ("?sslmode=require", None),
        ("?sslmode=verify-full&sslrootcert=/etc/ca.pem", None),
        ("?sslmode=verify-full", True),
        ("?sslmode=verify-full&sslrootcert=system", True),
        ("?sslmode=verify-ca", False),
    ],
)
def test_verifying_without_a_root_certificate_trusts_the_system(query: str, names_hosts: object) -> None:
    trust = system_trust(f"postgresql://db.example/health{query}")

    assert (trust and trust.check_hostname) == names_hosts


@pytest.mark.parametrize("key", ["sslrootcert", "sslcert", "sslkey", "sslcrl", "servicefile"])
def test_a_named_pipe_that_the_uri_names_is_not_waited_for(tmp_path: Path, key: str) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(OSError, match="a named pipe, not a regular file"):
        system_trust(f"postgresql://db.example/health?sslmode=require&{key}={tmp_path}/pipe")


async def test_a_named_pipe_is_what_is_wrong_and_not_the_server(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    database = Database(f"postgresql://127.0.0.1:1/health?sslrootcert={tmp_path}/pipe")

    with pytest.raises(StoreUnavailableError, match="a named pipe, not a regular file"):
        await database.open()


def test_a_clients_certificate_goes_with_the_systems_trust(tmp_path: Path) -> None:
    issued = trustme.CA().issue_cert("client@example.org")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")

    assert system_trust(f"postgresql://db.example/health?sslmode=verify-full&sslcert={tmp_path}/client.pem")
