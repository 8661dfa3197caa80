import pytest

from monitor.runtime.text import counted, cut, duration, instant, iso, percent, printable, quoted


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "-"),
        (-1, "0 s"),
        (0, "0 s"),
        (0.00123, "1.2 ms"),
        (0.083, "83 ms"),
        (1, "1 s"),
        (1.239, "1.24 s"),
        (59, "59 s"),
        (60, "1 min"),
        (90, "1 min 30 s"),
        (59 * 60, "59 min"),
        (3_600, "1 h"),
        (3_605, "1 h"),
        (2 * 3_600 + 300, "2 h 5 min"),
        (86_400, "1 d"),
        (90_061, "1 d 1 h"),
        (76 * 3_600, "3 d 4 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0 s"),
        (0.4, "0 s"),
        (1.239, "1 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3_600, "1 h"),
        (3_605, "1 h"),
        (90_061, "1 d 1 h"),
        (172_800, "2 d"),
    ],
)
def test_a_duration_of_whole_seconds_has_no_fractions(seconds: float, words: str) -> None:
    assert duration(seconds, whole=True) == words


def test_instants_are_written_in_utc() -> None:
    assert instant(1_760_000_000.9) == "2025-10-09 08:53:20"
    assert iso(1_760_000_000.9) == "2025-10-09T08:53:20+00:00"


@pytest.mark.parametrize(
    ("share", "text"),
    [(None, "-"), (0.0, "0.00 %"), (0.99999, "99.99 %"), (1.0, "100 %"), (0.29, "29.00 %")],
)
def test_nothing_short_of_all_is_all(share: float | None, text: str) -> None:
    assert percent(share) == text


def test_a_share_has_as_many_digits_as_asked_for() -> None:
    assert percent(0.999_999, 3) == "99.999 %"


def test_words_of_a_peer_stay_on_one_line_and_are_cut() -> None:
    assert quoted("a\r\nb \x1b[31m\u202e") == "a b \ufffd[31m\ufffd"
    assert quoted("x" * 1000, 5) == "xxxxx"


def test_what_a_terminal_would_obey_is_escaped() -> None:
    assert printable("grüße, 你好") == "grüße, 你好"
    assert printable("a\tb\x7f\x1b]0;x\x07\udcff") == r"a\tb\x7f\x1b]0;x\x07\udcff"


def test_a_text_that_is_cut_shows_it() -> None:
    assert (cut("abc", 3), cut("abcd", 3)) == ("abc", "abc…")


def test_one_is_no_plural() -> None:
    assert [counted(number, "monitor") for number in (0, 1, 2)] == ["0 monitors", "1 monitor", "2 monitors"]
