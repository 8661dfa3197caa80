import os
import socket
from pathlib import Path

import pytest

from monitor.runtime.files import check_pem, read_file


def trouble(path: Path, max_bytes: int = 10) -> str | None:
    with pytest.raises(OSError, match=str(path)) as refused:
        read_file(path, max_bytes)
    return refused.value.strerror


def test_a_file_is_read_up_to_the_bound(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")

    assert read_file(tmp_path / "file", 10) == b"0123456789"
    assert trouble(tmp_path / "file", 9) == "too large; at most 9 bytes are read"


def test_links_are_followed_as_kubernetes_makes_them(tmp_path: Path) -> None:
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "token").write_bytes(b"s3cret")
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "token").symlink_to("..data/token")

    assert read_file(tmp_path / "token", 10) == b"s3cret"


def test_what_is_no_regular_file_is_named_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))

        assert trouble(tmp_path / "socket") == "No such device or address"
    assert trouble(tmp_path / "pipe") == "a named pipe, not a regular file"
    assert trouble(tmp_path / "link") == "a named pipe, not a regular file"
    assert trouble(tmp_path) == "a directory, not a regular file"
    assert trouble(Path("/dev/zero")) == "a device, not a regular file"
    assert trouble(tmp_path / "missing") == "No such file or directory"


def test_all_files_for_openssl_are_checked(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()

    check_pem(None, tmp_path / "file")
    with pytest.raises(OSError, match="a named pipe"):
        check_pem(tmp_path / "file", None, tmp_path / "pipe")
