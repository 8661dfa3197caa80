import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config.expressions import MAX_SIZE, compile_pattern


@pytest.mark.parametrize(
    ("pattern", "mistake"),
    [
        ("(", "missing )"),
        ("a(?!b)", "(?! is not supported"),
        ("(?<!b)a", "(?<! is not supported"),
        ("(a)\\1", "\\1 is not supported"),
        ("a\\\u2028", "\\ is not supported"),
        ("a{1001}", "invalid repetition size"),
        ("\\pL{15}", "too large"),
    ],
)
def test_what_is_wrong_with_a_pattern_is_named(pattern: str, mistake: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(mistake)}$"):
        compile_pattern(pattern)


def test_a_usual_pattern_is_small() -> None:
    assert compile_pattern("<title>[^<]{0,200}Shop").programsize < MAX_SIZE / 4


@given(st.text("()[]{}\\?*+|^$.<>!=:,-09aPpLsU\0\n\x85\u2028ä"), st.binary())
def test_any_pattern_is_refused_in_one_line_or_searched_for(pattern: str, text: bytes) -> None:
    try:
        compile_pattern(pattern).search(text)
    except ValueError as refused:
        assert str(refused).isprintable()  # noqa: PT017 - both outcomes are fine
