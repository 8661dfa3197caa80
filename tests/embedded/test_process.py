import os
import signal
from pathlib import Path

import psutil
import pytest

from monitor.embedded.account import EmbeddedError, ServerUser
from monitor.embedded.process import Child, end


def child(log_path: Path) -> Child:
    return Child("The server", log_path, ((signal.SIGINT, 5.0),), signal.SIGKILL)


async def test_one_that_is_not_ready_in_time_is_told_with_the_last_line_of_its_log(tmp_path: Path) -> None:
    server = child(tmp_path / "log")
    server.launch(["sh", "-c", "echo first; echo last; echo; exec sleep 60"], tmp_path)

    with pytest.raises(EmbeddedError, match=r"^The server takes more than 0\.3 s; .*/log ends with: last$"):
        await server.until(lambda: False, 0.3)

    await server.end()


async def test_one_that_fails_without_a_word_is_told(tmp_path: Path) -> None:
    server = child(tmp_path / "log")
    server.launch(["sh", "-c", "exit 3"], tmp_path)

    with pytest.raises(
        EmbeddedError, match=r"^The server ended with exit code 3; .* ends with: \(nothing\)$"
    ):
        await server.succeeds(10)


async def test_one_that_works_too_long_is_told(tmp_path: Path) -> None:
    server = child(tmp_path / "log")
    server.launch(["sleep", "60"], tmp_path)

    with pytest.raises(EmbeddedError, match=r"takes more than 0\.1 s"):
        await server.succeeds(0.1)

    await server.end()


async def test_the_end_of_one_that_was_never_started_is_nothing(tmp_path: Path) -> None:
    await child(tmp_path / "log").end()


async def test_one_that_ignores_all_signals_is_killed(tmp_path: Path) -> None:
    server = Child("The server", tmp_path / "log", ((signal.SIGINT, 0.1),), signal.SIGKILL)
    server.launch(["sh", "-c", "trap '' INT; echo; while :; do sleep 1; done"], tmp_path)
    await server.until(lambda: (tmp_path / "log").stat().st_size > 0, 60)

    await server.end()

    assert server.process.wait(60) == -signal.SIGKILL


@pytest.mark.parametrize(("size", "kept"), [(10_000_000, 10_000_000), (10_000_001, 0)])
async def test_a_log_is_kept_over_a_restart_unless_it_is_too_large(
    tmp_path: Path, size: int, kept: int
) -> None:
    (tmp_path / "log").touch()
    os.truncate(tmp_path / "log", size)
    server = child(tmp_path / "log")

    server.launch(["echo", "again"], tmp_path)
    await server.succeeds(60)

    assert (tmp_path / "log").stat().st_size == kept + len("again\n")


async def test_another_account_needs_root(tmp_path: Path) -> None:
    nobody = ServerUser(65_534, 65_534)
    server = Child("The server", tmp_path / "log", ((signal.SIGINT, 5.0),), signal.SIGKILL, nobody)

    if os.geteuid() == 0:
        server.launch(["sleep", "60"], Path("/"))
        await server.until(lambda: server.process.name() == "sleep", 60)
        assert (set(server.process.uids()), set(server.process.gids())) == ({65_534}, {65_534})
        await server.end()
    else:
        with pytest.raises(PermissionError):
            server.launch(["sleep", "60"], Path("/"))


async def test_a_server_gets_of_the_environment_what_it_needs_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PG_PASSWORD", "s3cret")
    monkeypatch.setenv("LC_ALL", "C")
    server = child(tmp_path / "log")

    server.launch(["env"], tmp_path)
    await server.succeeds(60)

    found = dict(line.split("=", 1) for line in (tmp_path / "log").read_text().splitlines())
    assert found["LC_ALL"] == "C"
    assert (found["PATH"], found["TMPDIR"]) == (os.environ["PATH"], os.environ["TMPDIR"])
    assert "s3cret" not in found.values()


async def test_an_orphan_that_is_gone_already_needs_no_end(tmp_path: Path) -> None:
    server = child(tmp_path / "log")
    server.launch(["sleep", "60"], tmp_path)
    orphan = psutil.Process(server.process.pid)
    await server.end()

    await end(orphan, ((signal.SIGINT, 60.0), (signal.SIGKILL, 60.0)))
