import pytest

from monitor.duration import spoken


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "-"),
        (0, "0 ms"),
        (0.00123, "1.2 ms"),
        (0.083, "83 ms"),
        (1, "1 s"),
        (1.239, "1.24 s"),
        (59, "59 s"),
        (60, "1 min"),
        (59 * 60, "59 min"),
        (3_600, "1 h"),
        (2 * 3_600 + 300, "2 h 5 min"),
        (86_400, "1 d"),
        (76 * 3_600, "3 d 4 h"),
    ],
)
def test_a_duration_is_said_as_people_do(seconds: float | None, words: str) -> None:
    assert spoken(seconds) == words
