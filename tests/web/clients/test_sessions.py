from pathlib import Path

import pytest

from monitor.web.clients.sessions import SESSION_S, EndedSessions, FailedTries, Sessions

TOKEN = "a long token"  # noqa: S105 - of a test


class Clock:
    def __init__(self) -> None:
        self.now = 1_760_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "d" / "ended_sessions"


@pytest.fixture
def sessions(clock: Clock, file: Path) -> Sessions:
    return made(clock, file)


def written(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def damage(file: Path) -> None:
    file.write_bytes(b"\xff\n\nx y z\n" + file.read_bytes() + b"17")


def made(clock: Clock, file: Path, token: str = TOKEN) -> Sessions:
    return Sessions(token, EndedSessions(file, clock), clock)


@pytest.mark.parametrize("wrong", ["", "a long toke", "a long token ", "ä", "\udcff"])
def test_only_the_token_admits(sessions: Sessions, wrong: str) -> None:
    assert sessions.admits(TOKEN)
    assert not sessions.admits(wrong)


def test_a_session_holds_over_a_restart_until_it_runs_out(
    sessions: Sessions, clock: Clock, file: Path
) -> None:
    cookie = sessions.issue()

    assert made(clock, file).knows(cookie)
    clock.now += SESSION_S + 1
    assert not sessions.knows(cookie)


def test_a_new_token_ends_all_sessions(sessions: Sessions, clock: Clock, file: Path) -> None:
    assert not made(clock, file, "another token").knows(sessions.issue())


async def test_a_session_that_was_ended_stays_so_over_a_restart_and_others_go_on(
    sessions: Sessions, clock: Clock, file: Path
) -> None:
    first, second, other = sessions.issue(), sessions.issue(), sessions.issue()

    await sessions.end(first)
    await sessions.end(second)
    await sessions.end(first)

    for each in (sessions, made(clock, file)):
        assert [each.knows(cookie) for cookie in (first, second, other)] == [False, False, True]


async def test_what_is_no_session_is_not_remembered(sessions: Sessions, file: Path) -> None:
    await sessions.end("9" + sessions.issue())
    await sessions.end("")

    assert written(file) == []


async def test_sessions_that_have_run_out_are_forgotten(sessions: Sessions, clock: Clock, file: Path) -> None:
    old = sessions.issue()
    await sessions.end(old)

    clock.now += SESSION_S + 1
    await sessions.end(sessions.issue())

    (line,) = written(file)
    assert old.rpartition(".")[0] not in line


async def test_a_damaged_file_keeps_what_can_be_read(sessions: Sessions, clock: Clock, file: Path) -> None:
    cookie = sessions.issue()
    await sessions.end(cookie)

    damage(file)

    assert not made(clock, file).knows(cookie)


async def test_a_disk_that_cannot_be_used_is_logged_and_the_session_ended(
    clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sessions = made(clock, tmp_path)
    cookie = sessions.issue()

    await sessions.end(cookie)

    assert not sessions.knows(cookie)
    assert caplog.messages == [
        "cannot read which sessions have ended: Is a directory",
        "cannot store that a session has ended: Is a directory",
    ]


def test_no_two_sessions_are_alike(sessions: Sessions) -> None:
    assert sessions.issue() != sessions.issue()


def test_a_changed_cookie_is_no_session(sessions: Sessions) -> None:
    cookie = sessions.issue()

    assert not sessions.knows("9" + cookie)
    assert not sessions.knows(cookie[:-1])
    assert not any(map(sessions.knows, ("", ".", "..", "x", "\udcff.\udcff")))


def test_after_ten_wrong_tries_an_address_has_to_wait_a_minute(clock: Clock) -> None:
    tries = FailedTries(clock)

    for _ in range(10):
        assert not tries.wait_s("192.0.2.1")
        tries.add("192.0.2.1")
        clock.now += 1

    assert tries.wait_s("192.0.2.1") == 50  # from the first of them
    assert not tries.wait_s("192.0.2.2")
    clock.now += 50
    assert not tries.wait_s("192.0.2.1")


def test_addresses_are_forgotten_before_they_fill_the_memory(clock: Clock) -> None:
    tries = FailedTries(clock)
    for _ in range(10):
        tries.add("first")

    for number in range(1_000):
        tries.add(f"address {number}")

    assert not tries.wait_s("first")
