import ast
from pathlib import Path

import pytest

from tests.mutants.changes import changes, compiles

MONITOR = Path(__file__).parents[2] / "monitor"


def changed(source: str) -> set[str]:
    return {change.apply(source) for change in changes(source)}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", {"x = a <= b", "x = a >= b"}),
        ("x = (a)is  not(b)", {"x = (a)is(b)"}),
        ("x = a in b", {"x = a not in b"}),
        ("x = a and b or c", {"x = a or b or c", "x = a and b and c"}),
        ("x = not a", {"x = a"}),
        ("x = a + b", {"x = a - b"}),
        ("x = 9", {"x = 10", "x = 8"}),
        ("x = 64", {"x = 96", "x = 32"}),
        ("x = 3.0", {"x = 6.0", "x = 1.5"}),
        ("x = True", {"x = False"}),
        ("x = 'ä', 0", {'x = "", 0', "x = 'ä' \"X\", 0", "x = 'ä', 1", "x = 'ä', -1"}),
        ("x.y = z", {"pass"}),
        ("x += y", {"pass"}),
        ("f(a, b, c=d)", {"pass", "f(a, c=d)", "f(a, b, )"}),
        ("min(a)", {"pass", "max(a)"}),
        ("if a: b", {"if True: b", "if False: b"}),
        ("while a: b", {"while False: b"}),
        ("for a in b: break", {"for a in (): break", "for a in b: continue", "for a in b: pass"}),
        ("x = [a for a in b if c]", {"x = [a for a in b if True]"}),
        ("raise a", {"pass"}),
        (
            "try: a\nexcept (b, c): d\n",
            {"try: a\nexcept (c): d\n", "try: a\nexcept (b): d\n"},
        ),
        ("try: a\nexcept b: c\n", {"try: a\nexcept (): c\n"}),
        (
            "async def f():\n async with timeout(a): b",
            {"async def f():\n async with timeout(None): b"},
        ),
        ("def f(): return a", {"def f(): return None"}),
        ("def f(): return", set()),
        ("def f(): return False", {"def f(): return True"}),
        ("x = f'{a} < 1'", {'x = ""', "x = f'{a} < 1' \"X\""}),
        ("x = 'SELECT a WHERE b < c'", {"x = 'SELECT a WHERE b <= c'"}),
    ],
)
def test_each_kind_of_place_has_its_changes(source: str, expected: set[str]) -> None:
    assert changed(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""A text."""',
        "x: Literal['a']",
        "def f(x: 'int') -> 'str': ...",
        "if TYPE_CHECKING: import a",
        "@dataclass(frozen=True)\nclass A: pass",
        "assert a < 1",
        "x = A | B",
        "x = getLogger('a')",
    ],
)
def test_what_only_the_type_checker_reads_is_left(source: str) -> None:
    assert changed(source) == set()


def test_the_wording_of_a_log_line_is_left() -> None:
    assert changed("_log.info('so', a)") == {"pass", "_log.info('so')"}


def test_a_change_in_the_program_changes_just_that() -> None:
    source = (MONITOR / "runtime/waiting.py").read_text()

    for change in changes(source):
        after = change.apply(source)
        rest = len(source) - change.end
        assert after[: change.start] == source[: change.start]
        assert after[len(after) - rest :] == source[change.end :]
        assert not compiles(after) or ast.dump(ast.parse(after)) != ast.dump(ast.parse(source))
