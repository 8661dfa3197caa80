import os
import pwd
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitor.embedded.account import EmbeddedError, ServerUser, lend, let_through, unprivileged

NAME = "whm-test"


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let who runs the tests pass for root."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.fixture
def no_such_user() -> Iterator[None]:
    subprocess.run(["userdel", NAME], check=False, capture_output=True)
    yield
    subprocess.run(["userdel", NAME], check=False, capture_output=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a user of this machine, which only root can")
@pytest.mark.usefixtures("no_such_user")
def test_root_gets_a_system_user_which_stays() -> None:
    made = unprivileged(NAME)

    assert made.uid not in {0, 65_534}
    assert unprivileged(NAME) == made == ServerUser(*pwd.getpwnam(NAME)[2:4])


@pytest.mark.usefixtures("root")
def test_root_has_a_user_made_that_is_not_there(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    users = short_dir / "users"
    useradd(short_dir, f'echo "$@" > {users}', monkeypatch)

    def find(name: str) -> pwd.struct_passwd:
        if not users.exists():
            raise KeyError(name)
        return pwd.struct_passwd((name, "x", 4711, 4712, "", "/", "/usr/sbin/nologin"))

    monkeypatch.setattr(pwd, "getpwnam", find)

    with caplog.at_level("INFO"):
        assert unprivileged(NAME) == unprivileged(NAME) == ServerUser(4711, 4712)

    assert users.read_text() == f"--system --user-group --no-create-home --shell /usr/sbin/nologin {NAME}\n"
    assert caplog.messages == [f"Made the system user {NAME}, for PostgreSQL to run under"]


def useradd(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a stand-in for the system's `useradd` before it."""
    (folder / "useradd").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "useradd").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


@pytest.mark.usefixtures("root")
def test_without_the_means_to_make_a_user_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(EmbeddedError, match=f"needs a system user {NAME}.*useradd.*make it, or run this"):
        unprivileged(NAME)


@pytest.mark.usefixtures("root")
def test_a_user_that_is_refused_is_told_with_the_reason(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    useradd(short_dir, "echo 'useradd: invalid user name' >&2; exit 3", monkeypatch)

    with pytest.raises(EmbeddedError, match=r"cannot be made: useradd: invalid user name; make it"):
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
        let_through(short_dir / "closed" / "open", ServerUser(4711, 4711))

    assert stat.S_IMODE((short_dir / "closed").stat().st_mode) == 0o701
    assert stat.S_IMODE((short_dir / "closed" / "open").stat().st_mode) == 0o755
    assert [record.message.split(":")[0] for record in caplog.records] == [
        str(short_dir / "closed"),
        str(short_dir),
    ]


def test_our_own_account_needs_no_permission(short_dir: Path) -> None:
    short_dir.chmod(0o700)

    let_through(short_dir, ServerUser(os.geteuid(), os.getegid()))

    assert stat.S_IMODE(short_dir.stat().st_mode) == 0o700


def test_a_folder_of_ours_is_opened_for_the_account_and_nobody_else(short_dir: Path) -> None:
    group = 4712 if os.geteuid() == 0 else os.getegid()
    short_dir.chmod(0o700)

    lend(short_dir, ServerUser(4711, group))

    found = short_dir.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o710, os.geteuid(), group)


def test_a_folder_that_all_may_pass_or_that_is_for_ourselves_stays_as_it_is(short_dir: Path) -> None:
    for mode, account in ((0o755, ServerUser(4711, 4712)), (0o700, ServerUser(os.geteuid(), 4712))):
        short_dir.chmod(mode)

        lend(short_dir, account)

        assert stat.S_IMODE(short_dir.stat().st_mode) == mode
        assert short_dir.stat().st_gid != 4712


@pytest.mark.parametrize("give", [lend, let_through])
def test_a_folder_that_cannot_be_opened_is_one_clear_line(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch, give: Callable[[Path, ServerUser], None]
) -> None:
    short_dir.chmod(0o700)

    def refuse(_: Path, __: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)

    with pytest.raises(EmbeddedError, match=f"^user 4711 must be able to pass {short_dir}: Operation not"):
        give(short_dir, ServerUser(4711, os.getegid()))
