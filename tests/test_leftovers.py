"""What is left behind fails the test that left it; a whole run of pytest tries each kind."""

import os
import re
import subprocess
import sys
from pathlib import Path

LEAVING = """
import asyncio, logging, os, resource, signal, socket, subprocess, sys, tempfile, threading

import pytest

LEFT = []
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture(scope="module")
def wider():
    sleeping = subprocess.Popen(SLEEP)
    yield
    sleeping.kill()
    sleeping.wait()


def test_uses_what_a_wider_fixture_started(wider):
    pass


@pytest.fixture(scope="class")
def busy():  # at each moment it has a thread that was not there a moment ago
    renewed, ended = threading.Event(), threading.Event()

    def serve():
        ended.wait(0.05)
        if not ended.is_set():
            threading.Thread(target=serve).start()
            renewed.set()
            ended.wait(0.05)

    threading.Thread(target=serve).start()
    yield renewed
    ended.set()


class TestBeside:
    def test_busy_wider_fixture(self, busy):
        busy.wait()


async def test_tidy(tmp_path):
    (tmp_path / "file").touch()
    thread = threading.Thread(target=int)
    thread.start()
    listening = socket.create_server(("127.0.0.1", 0))
    listening.close()
    asyncio.create_task(asyncio.sleep(0.01))
    subprocess.run(SLEEP[:1] + ["-c", ""], check=True)


def test_thread():
    threading.Thread(target=threading.Event().wait, name="forgotten", daemon=True).start()


async def test_task():
    async def forgotten():
        await asyncio.sleep(600)

    LEFT.append(asyncio.create_task(forgotten()))


def test_port():
    LEFT.append(socket.create_server(("127.0.0.1", 0)))


def test_open_file(tmp_path):
    LEFT.append((tmp_path / "forgotten").open("w"))


def test_child():
    LEFT.append(subprocess.Popen(SLEEP))


def test_detached():
    quiet = "start_new_session=True, stdout=-3, stderr=-3"
    program = f"import subprocess; print(subprocess.Popen({SLEEP!r}, {quiet}).pid)"
    LEFT.append(int(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout))


def test_temporary_file():
    LEFT.append(tempfile.mkdtemp(prefix="forgotten-"))


def test_file_in_the_tree(request):
    (request.config.rootpath / "forgotten").touch()


def test_environment():
    os.environ["FORGOTTEN"] = "yes"


def test_directory(tmp_path):
    os.chdir(tmp_path)


def test_signal():
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def test_limit():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))


def test_log_level():
    logging.getLogger().setLevel("CRITICAL")


def test_end(request):
    os.chdir(request.config.rootpath)
    logging.getLogger().setLevel("WARNING")
    for left in LEFT:
        if isinstance(left, subprocess.Popen):
            left.kill()
            left.wait()
        elif isinstance(left, int):
            os.kill(left, signal.SIGKILL)
        elif isinstance(left, str):
            os.rmdir(left)
        elif not isinstance(left, asyncio.Task):
            left.close()
"""

LEFT = {
    "test_thread": r"thread forgotten",
    "test_task": r"task Task-\d+: <coroutine object test_task.<locals>.forgotten at .*",
    "test_port": r"descriptor \d+: LISTEN .*127\.0\.0\.1.*",
    "test_open_file": r"descriptor \d+: /.*/forgotten",
    "test_child": r"process \d+: .*time\.sleep\(600\)",
    "test_detached": r"process \d+: .*time\.sleep\(600\)",
    "test_temporary_file": r"file /(?:tmp|dev/shm)/t-\w+/forgotten-\w+",
    "test_file_in_the_tree": r"file /.*/tree/forgotten",
    "test_environment": r"environment variable FORGOTTEN: 'yes', was None",
    "test_directory": r"working directory: '/.*/test_directory0', was '/.*/tree'",
    "test_signal": r"handler of SIGUSR1: <Handlers\.SIG_IGN: 1>, was <Handlers\.SIG_DFL: 0>",
    "test_limit": r"RLIMIT_NOFILE: \(\d+, -?\d+\), was \(\d+, -?\d+\)",
    "test_log_level": r"logger root: \(50, .*\), was \(30, .*\)",
}


def test_each_kind_of_leftover_fails_the_test_that_left_it_and_no_other(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "pytest.ini").write_text(
        "[pytest]\nleftovers_end_within_s = 0.5\n"
        "asyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    )
    (tree / "test_leaving.py").write_text(LEAVING)
    plugins = ("-p", "tests.leftovers", "-p", "no:randomly", "-p", "no:cacheprovider")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, "--basetemp", tmp_path / "base"],
        check=False,
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        timeout=100,
    )

    section = r"_ ERROR at teardown of (\w+) _+\n(?:-.*\n)?left behind:\n  (.*)\n(?=[_=])"
    found = dict(re.findall(section, done.stdout))
    assert found.keys() == LEFT.keys(), done.stdout + done.stderr
    assert {test: line for test, line in found.items() if not re.fullmatch(LEFT[test], line)} == {}
    counts = " 17 passed, 14 errors "
    assert counts in done.stdout, done.stdout  # the last test puts the settings back: a change, too
