import pytest

from monitor.web.sessions import SESSION_S, FailedTries, Sessions

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
def sessions(clock: Clock) -> Sessions:
    return Sessions(TOKEN, clock)


@pytest.mark.parametrize("wrong", ["", "a long toke", "a long token ", "ä", "\udcff"])
def test_only_the_token_admits(sessions: Sessions, wrong: str) -> None:
    assert sessions.admits(TOKEN)
    assert not sessions.admits(wrong)


def test_a_session_holds_over_a_restart_until_it_runs_out(sessions: Sessions, clock: Clock) -> None:
    cookie = sessions.issue()

    assert Sessions(TOKEN, clock).knows(cookie)
    clock.now += SESSION_S + 1
    assert not sessions.knows(cookie)


def test_a_new_token_ends_all_sessions(sessions: Sessions, clock: Clock) -> None:
    assert not Sessions("another token", clock).knows(sessions.issue())


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

    assert tries.wait_s("192.0.2.1") == 60
    assert not tries.wait_s("192.0.2.2")
    clock.now += 61
    assert not tries.wait_s("192.0.2.1")


def test_addresses_are_forgotten_before_they_fill_the_memory(clock: Clock) -> None:
    tries = FailedTries(clock)
    for _ in range(10):
        tries.add("first")

    for number in range(1_000):
        tries.add(f"address {number}")

    assert not tries.wait_s("first")
