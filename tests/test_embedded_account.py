import os
import pwd
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitor.embedded_account import Account, EmbeddedError, lend, let_through, unprivileged

NAME = "whm-test"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def no_such_user() -> Iterator[None]:
    subprocess.run(["userdel", NAME], check=False, capture_output=True)
    yield
    subprocess.run(["userdel", NAME], check=False, capture_output=True)


@as_root
@pytest.mark.usefixtures("no_such_user")
def test_root_gets_a_system_user_which_stays() -> None:
    made = unprivileged(NAME)

    assert made.uid not in {0, 65_534}
    assert unprivileged(NAME) == made == Account(*pwd.getpwnam(NAME)[2:4])


@as_root
@pytest.mark.usefixtures("no_such_user")
def test_without_the_means_to_make_a_user_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(EmbeddedError, match=f"needs a system user {NAME}.*useradd.*make it, or run this"):
        unprivileged(NAME)


@as_root
def test_a_name_that_cannot_be_one_is_refused_with_the_reason() -> None:
    with pytest.raises(EmbeddedError, match="invalid user name"):
        unprivileged("not:a:name")


def test_an_ordinary_user_keeps_its_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    monkeypatch.setattr(os, "getegid", lambda: 4712)

    assert unprivileged() == (4711, 4712)


def test_others_may_pass_folders_that_were_closed_and_nothing_more(
    short_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (short_dir / "closed" / "open").mkdir(parents=True)
    (short_dir / "closed").chmod(0o700)
    (short_dir / "closed" / "open").chmod(0o755)

    with caplog.at_level("INFO"):
        let_through(short_dir / "closed" / "open", Account(4711, 4711))

    assert stat.S_IMODE((short_dir / "closed").stat().st_mode) == 0o701
    assert stat.S_IMODE((short_dir / "closed" / "open").stat().st_mode) == 0o755
    assert [record.message.split(":")[0] for record in caplog.records] == [
        str(short_dir / "closed"),
        str(short_dir),
    ]


def test_our_own_account_needs_no_permission(short_dir: Path) -> None:
    short_dir.chmod(0o700)

    let_through(short_dir, Account(os.geteuid(), os.getegid()))

    assert stat.S_IMODE(short_dir.stat().st_mode) == 0o700


@as_root
def test_a_folder_of_ours_is_opened_for_the_account_and_nobody_else(short_dir: Path) -> None:
    short_dir.chmod(0o700)

    lend(short_dir, Account(4711, 4712))

    found = short_dir.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o710, 0, 4712)


def test_a_folder_that_all_may_pass_or_that_is_for_ourselves_stays_as_it_is(short_dir: Path) -> None:
    for mode, account in ((0o755, Account(4711, 4712)), (0o700, Account(os.geteuid(), 4712))):
        short_dir.chmod(mode)

        lend(short_dir, account)

        assert stat.S_IMODE(short_dir.stat().st_mode) == mode
        assert short_dir.stat().st_gid != 4712


@pytest.mark.parametrize("give", [lend, let_through])
def test_a_folder_that_cannot_be_opened_is_one_clear_line(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch, give: Callable[[Path, Account], None]
) -> None:
    short_dir.chmod(0o700)

    def refuse(_: Path, __: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)

    with pytest.raises(EmbeddedError, match=f"^user 4711 must be able to pass {short_dir}: Operation not"):
        give(short_dir, Account(4711, os.getegid()))
