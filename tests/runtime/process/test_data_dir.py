import os
import re
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.runtime.process.data_dir import DataDirError, locked

HOLD = """
import pathlib, sys
from monitor.runtime.process.data_dir import locked
with locked(pathlib.Path(sys.argv[1])):
    print(flush=True)
    sys.stdin.read()
"""


def test_the_folder_is_made_with_its_parents_and_only_its_owner_may_look_into_it(tmp_path: Path) -> None:
    with locked(tmp_path / "new" / "folder"):
        assert stat.S_IMODE((tmp_path / "new" / "folder").stat().st_mode) == 0o700


def test_a_second_process_is_told_which_one_has_the_folder(tmp_path: Path) -> None:
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with first:
        assert first.stdout
        assert first.stdout.readline()

        with pytest.raises(DataDirError, match=f"{re.escape(str(tmp_path))} is in use .*, {first.pid}$"):
            locked(tmp_path).__enter__()

        first.kill()

    with locked(tmp_path):
        assert (tmp_path / "lock").read_text() == str(os.getpid())


def test_a_full_disk_does_not_keep_the_folder_from_being_used(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("an earlier process")
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, allowed[1]))
    try:
        with locked(tmp_path), pytest.raises(DataDirError, match=r"in use by another process, unknown$"):
            locked(tmp_path).__enter__()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DataDirError, match=r"^data_dir .*/file/folder cannot be used: Not a directory$"):
        locked(tmp_path / "file" / "folder").__enter__()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_there_already_is_closed_to_others_and_what_is_made_is_not_open_to_them(
    tmp_path: Path,
) -> None:
    outside = tmp_path / "outside"
    outside.touch(0o644)
    folder = tmp_path / "data"
    folder.mkdir(0o755)
    (folder / "outbox.sqlite").touch(0o664)
    (folder / "link").symlink_to(outside)
    (folder / "socket").mkdir(0o750)
    mine = os.umask(0o022)
    os.umask(mine)

    with locked(folder):
        (folder / "new").touch()

        assert mode(folder) == 0o700
        assert mode(folder / "outbox.sqlite") == mode(folder / "new") == 0o600
        assert (mode(outside), mode(folder / "socket")) == (0o644, 0o750)
    assert os.umask(mine) == mine


def test_a_folder_for_all_users_stays_so_and_the_log_says_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tmp_path.chmod(0o1777)

    with locked(tmp_path):
        assert mode(tmp_path) == 0o1777

    assert caplog.messages == [f"data_dir {tmp_path} is for all users: a folder of its own is safer"]


def test_a_folder_of_another_user_stays_as_it_is_and_the_log_says_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: Path, __: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)

    with locked(tmp_path):
        assert caplog.messages == [
            f"data_dir {tmp_path} cannot be closed to other users: Operation not permitted"
        ]
