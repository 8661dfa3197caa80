"""A service manager's socket, as systemd has it, and what the program sends there."""

import asyncio
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from monitor.runtime.process.service_manager import ServiceManager
from tests.clock import NeverWaiting
from tests.program import Program, Start
from tests.test_main import DOWN

WATCHED = {"WATCHDOG_PID": str(os.getpid()), "WATCHDOG_USEC": "3000"}


class Manager:
    """The other end of the socket."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(60)

    def reads(self) -> str:
        return self.socket.recv(1_000).decode()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(f"{tmp_path}/notify")
    with made.socket:
        yield made


async def test_the_watchdog_is_fed_as_long_as_the_loop_turns(manager: Manager) -> None:
    service = ServiceManager({"NOTIFY_SOCKET": manager.socket.getsockname(), **WATCHED})

    with service.running():
        first = [manager.reads() for _ in range(2)]
        more = [await asyncio.to_thread(manager.reads) for _ in range(3)]

    assert first == ["READY=1", "WATCHDOG=1"]
    assert set(more) == {"WATCHDOG=1"}


@pytest.mark.parametrize("watched", [{}, WATCHED | {"WATCHDOG_PID": "1"}])
async def test_a_watchdog_that_is_not_there_or_for_another_process_is_not_fed(
    manager: Manager, watched: dict[str, str]
) -> None:
    service = ServiceManager({"NOTIFY_SOCKET": manager.socket.getsockname(), **watched})

    with service.running():
        pass

    assert [manager.reads() for _ in range(2)] == ["READY=1", "STOPPING=1"]


def test_the_watchdog_is_fed_three_times_in_the_time_that_it_waits(manager: Manager) -> None:
    service = ServiceManager({"NOTIFY_SOCKET": manager.socket.getsockname(), **WATCHED})

    async def live_for_6_ms() -> None:
        with service.running():
            await asyncio.sleep(0.0065)

    with asyncio.Runner(loop_factory=NeverWaiting) as runner:
        runner.run(live_for_6_ms())

    assert [manager.reads() for _ in range(9)] == ["READY=1", *["WATCHDOG=1"] * 7, "STOPPING=1"]


def test_a_manager_that_reads_nothing_is_not_waited_for(manager: Manager) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, suppress(BlockingIOError):
        sender.settimeout(0)
        while True:
            sender.sendto(b"unread", manager.socket.getsockname())

    tell = "import os, monitor.runtime.process.service_manager as it; it.ServiceManager(os.environ).ready()"
    environ = {**os.environ, "NOTIFY_SOCKET": manager.socket.getsockname()}
    subprocess.run([sys.executable, "-c", tell], env=environ, check=True, timeout=60)


def test_the_watchdog_is_fed_again_when_there_are_file_handles_again(manager: Manager) -> None:
    service = ServiceManager({"NOTIFY_SOCKET": manager.socket.getsockname(), **WATCHED})
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def run_out_of_file_handles() -> None:
        with service.running():
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, allowed[1]))
            await asyncio.sleep(0.002)
            resource.setrlimit(resource.RLIMIT_NOFILE, allowed)
            await asyncio.sleep(0.0015)

    with asyncio.Runner(loop_factory=NeverWaiting) as runner:
        try:
            runner.run(run_out_of_file_handles())
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, allowed)

    assert [manager.reads() for _ in range(4)] == ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "STOPPING=1"]


async def test_what_is_ready_later_says_so_later(manager: Manager) -> None:
    service = ServiceManager({"NOTIFY_SOCKET": manager.socket.getsockname()})

    with service.running(is_ready=False):
        pass
    service.ready()

    assert [manager.reads() for _ in range(2)] == ["STOPPING=1", "READY=1"]


async def test_a_socket_may_have_an_abstract_address() -> None:
    name = f"website-health-{os.getpid()}"
    manager = Manager(f"\0{name}")
    with manager.socket, ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).running():
        assert manager.reads() == "READY=1"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": "/no/socket"}])
async def test_without_a_manager_nothing_happens(environ: dict[str, str]) -> None:
    with ServiceManager(environ).running():
        pass


def test_the_program_says_when_it_has_started_lives_and_ends(program: Start, manager: Manager) -> None:
    monitor: Program = program(url_to_monitor=DOWN)
    monitor.environ["NOTIFY_SOCKET"] = manager.socket.getsockname()
    monitor.start()

    assert manager.reads() == "READY=1"
    assert "monitor http://" in monitor.printed()

    assert monitor.stop() == 0
    assert manager.reads() == "STOPPING=1"
