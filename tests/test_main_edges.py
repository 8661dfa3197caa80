"""Where a command's output goes may refuse it, and a stop may come before all has started."""

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.program import ROOT, Program, Start, until

DOWN = "http://127.0.0.1:9/"


def run(monitor: Program, *arguments: str, stdout: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    with stdout.open("w") as output:
        return subprocess.run(
            [sys.executable, "main.py", "--config", monitor.path, *arguments],
            check=False,
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            env=os.environ | environ,
        )


@pytest.mark.parametrize("command", ["--once", "--check-config"])
def test_an_answer_that_cannot_be_printed_is_one_line_and_exit_1(
    program: Start, database: str, command: str
) -> None:
    monitor = program(pg_uri=database, url_to_monitor=DOWN)

    done = run(monitor, command, stdout=Path("/dev/full"))

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("the answer cannot be printed: No space left on device")
    assert "Traceback" not in done.stderr


def test_a_name_that_stdout_has_no_characters_for_is_escaped(program: Start, database: str) -> None:
    monitor = program(pg_uri=database, monitors=[{"name": "Größe", "url": DOWN}])
    output = monitor.folder / "output"

    done = run(monitor, "--once", stdout=output, PYTHONIOENCODING="ascii", COLUMNS="200")

    assert done.returncode == 1
    assert r"Gr\xf6\xdfe" in output.read_text()
    assert "Traceback" not in done.stderr


def test_without_a_stdout_the_exit_code_is_the_answer(program: Start) -> None:
    monitor = program(url_to_monitor=DOWN)
    command = f"exec {sys.executable} main.py --config {monitor.path} --check-config >&-"

    done = subprocess.run(["sh", "-c", command], check=False, cwd=ROOT, stderr=subprocess.PIPE)

    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(("arguments", "code"), [((), 0), (("--once",), 1)])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_while_the_program_loads_leaves_no_traceback(
    program: Start, arguments: tuple[str, ...], code: int, number: signal.Signals
) -> None:
    monitor = program(url_to_monitor=DOWN)
    loading = [sys.executable, "-X", "importtime", "main.py", "--config", str(monitor.path), *arguments]

    with subprocess.Popen(loading, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        said = [next(line for line in process.stderr if line.endswith(" monitor\n"))]
        process.send_signal(number)
        said += process.stderr.readlines()

    assert process.returncode == code
    assert "Traceback" not in "".join(said)
    assert not any("monitor.service" in line for line in said)


def test_a_start_that_takes_long_cannot_hold_up_the_end(
    program: Start, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = tmp_path / "silent-broker"
    silent.write_text("#!/bin/sh\nexec sleep 600\n")
    silent.chmod(0o700)
    monkeypatch.setenv("CALF_TANSU_BIN", str(silent))
    monitor = program(pg_uri=database, url_to_monitor=DOWN, shutdown_grace_s=1)
    monitor.start()
    until(lambda: bool(monitor.process.children()), "the broker is being started")
    servers = monitor.process.children()
    began = time.monotonic()

    assert monitor.stop() == 0

    assert time.monotonic() - began < 8
    assert "shutdown_grace_s is over" in monitor.printed()
    until(lambda: not any(server.is_running() for server in servers), "the broker is gone")


def served(program: Start, told: str) -> str:
    """Tell something of the interpreter that serves."""
    monitor = program(url_to_monitor=DOWN)
    serve = f"async def serve(*_):\n    print({told})"
    start = f"cli.serve = serve\ncli.main(['--config', {str(monitor.path)!r}])"
    script = f"import gc, sys\nfrom monitor import cli\n{serve}\n{start}"
    return subprocess.run(
        [sys.executable, "-c", script], check=True, cwd=ROOT, capture_output=True, text=True
    ).stdout


def test_the_garbage_collector_passes_over_the_modules(program: Start) -> None:
    kept, looked_at = map(int, served(program, "gc.get_freeze_count(), len(gc.get_objects())").split())

    assert kept > 100 * looked_at


def test_the_garbage_collector_seldom_looks_at_everything(program: Start) -> None:
    kept = gc.get_threshold()
    gc.set_threshold(*kept[:2], 100)
    expected = gc.get_threshold()  # 3.14 looks at everything bit by bit, and keeps no third
    gc.set_threshold(*kept)

    assert served(program, "*gc.get_threshold()").split() == [str(each) for each in expected]


def test_a_thread_keeps_the_event_loop_waiting_for_half_a_millisecond_at_most(program: Start) -> None:
    assert float(served(program, "sys.getswitchinterval()")) == pytest.approx(0.000_5)
