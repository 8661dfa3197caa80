import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.runtime.data_dir import DataDirError, locked

HOLD = """
import pathlib, sys
from monitor.runtime.data_dir import locked
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


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DataDirError, match=r"^data_dir .*/file/folder cannot be used: Not a directory$"):
        locked(tmp_path / "file" / "folder").__enter__()
