import asyncio
import os
import shutil
import socket
from pathlib import Path

import psutil
import pytest

from monitor.embedded.account import EmbeddedError
from monitor.embedded.broker import Broker
from monitor.embedded.broker import broker as embedded_broker
from tests.embedded.running import eventually, gone
from tests.freeze import freeze
from tests.ports import free_ports


def accepts(broker: Broker) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", broker.port)) == 0


async def test_it_listens_on_loopback_only_and_is_gone_in_the_end(short_dir: Path) -> None:
    async with embedded_broker(short_dir) as broker:
        pid = broker.child.process.pid
        assert accepts(broker)
        assert broker.bootstrap == f"127.0.0.1:{broker.port}"
        listening = {each.laddr for each in psutil.Process(pid).net_connections("tcp")}
        assert listening == {("127.0.0.1", broker.port)}

    assert gone(pid)
    assert not accepts(broker)


async def test_a_home_that_cannot_be_written_does_not_matter(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/proc/nowhere")

    async with embedded_broker(short_dir) as broker:
        assert accepts(broker)


async def test_a_killed_broker_is_started_again_on_its_port_and_that_is_reported(broker: Broker) -> None:
    restarted = asyncio.Event()

    async def note() -> None:
        restarted.set()

    broker.on_restart = note
    before = broker.bootstrap

    broker.child.process.kill()
    async with asyncio.timeout(60):
        await restarted.wait()

    assert broker.bootstrap == before
    assert accepts(broker)


async def test_nobody_has_to_want_that_report(short_dir: Path) -> None:
    await Broker(short_dir).on_restart()


async def test_a_restart_that_fails_is_tried_again(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    restarts = 0
    done = asyncio.Event()

    async def fail_once() -> None:
        nonlocal restarts
        restarts += 1
        if restarts == 1:
            raise ConnectionError("no topic")
        done.set()

    broker.on_restart = fail_once

    broker.child.process.kill()
    async with asyncio.timeout(60):
        await done.wait()

    assert "The embedded broker, trying again in 0.5 s: no topic" in caplog.messages
    assert accepts(broker)


async def test_a_bug_in_what_is_told_comes_out_at_once(short_dir: Path) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    async def run() -> None:
        async with embedded_broker(short_dir) as broker:
            broker.on_restart = fail
            broker.child.process.kill()
            await asyncio.Event().wait()

    with pytest.RaisesGroup(ZeroDivisionError):
        await run()


async def test_a_broker_that_does_not_react_is_killed(short_dir: Path) -> None:
    async with embedded_broker(short_dir) as broker:
        pid = broker.child.process.pid
        freeze(pid)

    assert gone(pid)


async def test_a_broker_that_an_earlier_run_left_is_ended_first(short_dir: Path) -> None:
    left = Broker(short_dir)
    await left.start()

    async with embedded_broker(short_dir) as broker:
        assert accepts(broker)
        assert left.child.process.poll() == 0


async def test_a_process_that_only_has_the_number_of_an_earlier_broker_lives(short_dir: Path) -> None:
    (short_dir / "broker.pid").write_text(f"{os.getppid()}\n")

    async with embedded_broker(short_dir) as broker:
        assert accepts(broker)

    assert not gone(os.getppid())


async def test_a_busy_port_is_given_up_for_another_one(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        ports = [busy.getsockname()[1], *free_ports(1)]
        monkeypatch.setattr("monitor.embedded.broker._free_port", lambda: ports.pop(0))

        async with embedded_broker(short_dir) as broker:
            assert broker.port != busy.getsockname()[1]
            assert accepts(broker)


async def test_with_all_ports_busy_the_error_is_one_line(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        monkeypatch.setattr("monitor.embedded.broker._free_port", lambda: busy.getsockname()[1])

        with pytest.raises(EmbeddedError, match=r"^The embedded broker ended with exit code \d+; [^\n]*$"):
            async with embedded_broker(short_dir):
                pass


async def test_a_binary_of_ones_own_is_used(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with embedded_broker(short_dir) as broker:
        own = Path(broker.child.process.exe())
    shutil.move(own, short_dir / "own-tansu")
    monkeypatch.setenv("CALF_TANSU_BIN", str(short_dir / "own-tansu"))

    async with embedded_broker(short_dir) as broker:
        assert Path(broker.child.process.exe()).name == "own-tansu"


async def test_a_binary_that_is_none_is_one_clear_line(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALF_TANSU_BIN", "/nowhere")

    with pytest.raises(EmbeddedError, match="CALF_TANSU_BIN='/nowhere' does not point at an executable"):
        async with embedded_broker(short_dir):
            pass


async def test_a_binary_that_this_machine_cannot_run_is_one_clear_line(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (short_dir / "tansu").write_bytes(b"\x7fELF of another machine")
    (short_dir / "tansu").chmod(0o700)
    monkeypatch.setenv("CALF_TANSU_BIN", str(short_dir / "tansu"))
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(EmbeddedError, match=r"^The embedded broker cannot be started: .*Exec format error"):
        async with embedded_broker(short_dir):
            pass


async def test_a_log_of_many_megabytes_is_begun_anew(short_dir: Path) -> None:
    (short_dir / "broker.log").write_bytes(b"x" * 10_000_001)

    async with embedded_broker(short_dir):
        assert (short_dir / "broker.log").stat().st_size < 1_000
        (short_dir / "broker.log").write_bytes(b"x" * 10_000_001)
        await eventually(lambda: not (short_dir / "broker.log").stat().st_size, "begun anew")


async def test_cancelling_the_end_kills_at_once(short_dir: Path) -> None:
    broker = Broker(short_dir)
    await broker.start()
    freeze(broker.child.process.pid)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await broker.child.end()

    await eventually(lambda: broker.child.process.poll() is not None, "killed")
