from pathlib import Path

import pytest

from monitor.config.files import check_database_files, database_files


def test_the_files_of_a_database_are_those_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "root.pem").touch()
    uri = f"postgresql://me:word@db.example/health?sslkey=absent&sslrootcert={tmp_path}/root.pem#sslcert=/dev/null"

    assert database_files(uri) == [f"{tmp_path}/root.pem"]


@pytest.mark.parametrize("place", ["", "absent", "x" * 5_000, "%00", "%ff"])
def test_what_is_not_there_is_left_to_the_connection(place: str) -> None:
    uri = f"postgresql://db.example/health?sslrootcert={place}&sslcert={place}"

    assert check_database_files(uri) == uri


def test_a_device_is_not_read() -> None:
    with pytest.raises(ValueError, match=r"cannot read /dev/zero \(a device, not a regular file\)"):
        check_database_files("postgresql://db.example/health?sslrootcert=/dev/zero")
