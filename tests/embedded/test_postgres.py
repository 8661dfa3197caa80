import asyncio
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import psycopg2
import pytest

from monitor.embedded.account import EmbeddedError, unprivileged
from monitor.embedded.postgres import _Cluster, postgres
from tests.embedded.running import eventually, gone


async def ask(uri: str, question: str) -> object:
    connection = await asyncpg.connect(uri)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def pid_of(uri: str) -> int:
    content = await ask(uri, "SELECT pg_read_file('postmaster.pid')")
    return int(str(content).split()[0])


async def answers(uri: str) -> None:
    async with asyncio.timeout(60):
        while True:
            with suppress(OSError, asyncpg.CannotConnectNowError):
                await ask(uri, "SELECT 1")
                return
            await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def initialised() -> Iterator[Path]:
    async def run(data_dir: Path) -> None:
        async with postgres(data_dir):
            pass

    with TemporaryDirectory(prefix="whm-") as name:
        asyncio.run(run(Path(name)))
        yield Path(name)


@pytest.fixture
def cluster(initialised: Path, short_dir: Path) -> Path:
    """A data folder in which PostgreSQL has run before."""
    subprocess.run(["cp", "-a", initialised / "postgres", short_dir], check=True)
    return short_dir


async def test_rows_are_there_after_a_restart_and_an_unfinished_cluster_is_not_used(short_dir: Path) -> None:
    data_dir = short_dir / "a folder, with %20"
    (data_dir / "postgres.new" / "left").mkdir(parents=True)

    async with postgres(data_dir) as uri:
        await ask(uri, "CREATE TABLE kept AS SELECT 42 AS number")
    async with postgres(data_dir) as uri:
        assert await ask(uri, "SELECT number FROM kept") == 42
        names = "server_encoding", "fsync", "shared_buffers", "listen_addresses"
        assert [await ask(uri, f"SHOW {name}") for name in names] == ["UTF8", "on", "32MB", ""]

    assert not (data_dir / "postgres.new").exists()


async def test_other_clients_take_the_uri_as_it_is(cluster: Path) -> None:
    async with postgres(cluster) as uri:
        connection = psycopg2.connect(uri)
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_user")
            assert cursor.fetchone() == ("postgres",)
        connection.close()


async def test_a_killed_server_is_started_again(cluster: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with postgres(cluster) as uri:
        await ask(uri, "CREATE TABLE kept AS SELECT 42 AS number")
        killed = await pid_of(uri)
        os.kill(killed, signal.SIGKILL)
        await eventually(lambda: gone(killed), "killed")

        await answers(uri)

        assert await ask(uri, "SELECT number FROM kept") == 42
        assert await pid_of(uri) != killed
    assert "PostgreSQL ended with exit code -9, starting it again" in caplog.messages


async def test_a_pid_file_that_names_a_stranger_is_removed_and_the_stranger_lives(cluster: Path) -> None:
    stranger = os.getppid()
    (cluster / "postgres" / "postmaster.pid").write_text(f"{stranger}\n{cluster}/postgres\n0\n5432\n")

    async with postgres(cluster) as uri:
        assert await ask(uri, "SELECT 1") == 1

    assert not gone(stranger)


@pytest.mark.parametrize("content", ["", "none", f"{2**70}", "-1", f"{2**22}"])
async def test_a_damaged_pid_file_is_removed(cluster: Path, content: str) -> None:
    (cluster / "postgres" / "postmaster.pid").write_text(content)

    async with postgres(cluster) as uri:
        assert await ask(uri, "SELECT 1") == 1


@pytest.mark.parametrize("name", ["x" * 100, "one,two"])
async def test_a_path_that_is_none_for_a_socket_has_it_elsewhere(
    short_dir: Path, cluster: Path, name: str
) -> None:
    (short_dir / name).mkdir()
    (cluster / "postgres").rename(short_dir / name / "postgres")

    async with postgres(short_dir / name) as uri:
        assert await ask(uri, "SELECT 1") == 1
        elsewhere = Path(str(await ask(uri, "SELECT current_setting('unix_socket_directories')")))

    assert elsewhere.name.startswith("website-health-")
    assert not await asyncio.to_thread(elsewhere.exists)


async def test_a_socket_folder_that_others_may_enter_is_refused(short_dir: Path) -> None:
    (short_dir / "socket").mkdir(mode=0o755)

    with pytest.raises(EmbeddedError, match=f"^{short_dir}/socket must be a folder of user .* alone"):
        async with postgres(short_dir):
            pass


async def test_without_a_place_for_the_socket_the_error_is_one_line(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/proc")

    with pytest.raises(
        EmbeddedError, match=r"^/proc/website-health-\w+, for PostgreSQL's socket, cannot be made"
    ):
        async with postgres(short_dir / ("x" * 100)):
            pass


async def test_a_cluster_of_another_version_is_one_clear_line(short_dir: Path) -> None:
    cluster = short_dir / "postgres"
    cluster.mkdir(mode=0o700)
    (cluster / "PG_VERSION").write_text("17\n")
    (cluster / "postgresql.conf").touch()
    account = unprivileged()
    for path in (cluster, *cluster.iterdir()):
        os.chown(path, *account)

    with pytest.raises(
        EmbeddedError, match=r"^PostgreSQL ended with exit code 1; .*/postgres\.log ends with: "
    ):
        async with postgres(short_dir):
            pass

    assert "initialized by PostgreSQL version 17" in (short_dir / "postgres.log").read_text()


async def test_a_start_that_is_cancelled_leaves_nothing_that_disturbs_the_next(short_dir: Path) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1), postgres(short_dir):
            pass
    assert not (short_dir / "postgres").exists()

    async with postgres(short_dir) as uri:
        assert await ask(uri, "SELECT 1") == 1


async def test_a_server_that_an_earlier_run_left_is_stopped_first(cluster: Path) -> None:
    left = _Cluster(cluster)
    await left.start()
    await ask(left.uri, "CREATE TABLE kept AS SELECT 42 AS number")

    async with postgres(cluster) as uri:
        assert await ask(uri, "SELECT number FROM kept") == 42
        assert left.child.process.poll() == 0
