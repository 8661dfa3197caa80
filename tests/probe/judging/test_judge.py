"""No site can stop the event loop by what it sends, whatever is expected of it."""

import asyncio
import random
import threading
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config.expect import Expect
from monitor.probe.judging.expect import Failure, Response, judged
from monitor.probe.judging.expect_body import MAX_JSON_VALUES, json_is_true
from monitor.probe.judging.judge import Judge
from monitor.result import OwnTroubleError, Reason

MB = 1 << 20
HELD_S = 0.1
LETTERS = random.Random(1).choices(b"ab", k=MB)  # noqa: S311 - no secret


async def judge_beside(response: Response, **expect: Any) -> tuple[Failure | None, float]:
    """Judge while the loop does other things; return for how long it could not, the best of ten.

    Counted in processor time, of which other processes take none.
    """
    judge = Judge(Expect.model_validate(expect))
    held: list[float] = []
    while len(held) < 10 and min(held, default=HELD_S) >= HELD_S:
        longest = 0.0
        judging = asyncio.ensure_future(judge.judge(response))
        while not judging.done():
            before = time.process_time()
            await asyncio.sleep(0.001)
            longest = max(longest, time.process_time() - before)
        held.append(longest)
    return judging.result(), min(held)


@pytest.mark.parametrize(
    ("pattern", "body", "found"),
    [
        ("(a+)+$", b"a" * (MB - 1) + b"!", False),
        ("(a|aa)+$", b"a" * (MB - 1) + b"!", False),
        ("(.*)*x", b"a" * MB, False),
        ("(?:a|b)*a(?:a|b){20}c", bytes(LETTERS), False),
        ("a.{20}c", bytes(LETTERS), False),
    ],
)
async def test_a_pattern_that_would_explode_elsewhere_holds_nothing(
    pattern: str, body: bytes, found: bool
) -> None:
    failure, held_s = await judge_beside(Response(200, body=body), body_regex=pattern)

    assert (failure is None) == found
    assert held_s < HELD_S


async def test_a_small_body_with_a_pattern_that_would_explode_is_judged_at_once() -> None:
    failure, held_s = await judge_beside(Response(200, body=b"a" * 5_000 + b"!"), body_regex="(a+)+$")

    assert failure is not None
    assert held_s < HELD_S


async def test_a_header_beyond_measure_holds_nothing() -> None:
    response = Response(200, headers={"x": [bytes(LETTERS).decode()]})

    failure, held_s = await judge_beside(response, header_not_regex={"X": "a.{20}c"})

    assert failure is None
    assert held_s < HELD_S


async def test_json_of_many_elements_holds_nothing() -> None:
    response = Response(200, body=b"[" + b"1," * 50_000 + b"1]")

    failure, held_s = await judge_beside(response, json="length(@[?@ == `1`]) == `50001`")

    assert failure is None
    assert held_s < HELD_S


async def test_json_nested_beyond_measure_is_no_json() -> None:
    failure, held_s = await judge_beside(Response(200, body=b"[" * MAX_JSON_VALUES), json="@")

    assert failure is not None
    assert failure[0] == Reason.JSON
    assert held_s < HELD_S


@pytest.mark.parametrize("body", [b"[" + b"[]," * (16 * MB // 3) + b"[]]", b"[" + b"{}," * 50_000 + b"{}]"])
async def test_json_of_too_many_values_is_not_parsed(body: bytes) -> None:
    failure, held_s = await judge_beside(Response(200, body=body), json="@")

    assert failure == (Reason.BODY_TOO_LARGE, "the JSON has more than 100000 values")
    assert held_s < HELD_S


@pytest.mark.parametrize("value", [b"[]", b"{}"])
async def test_json_of_as_many_values_as_is_said_holds_nothing(value: bytes) -> None:
    count = MAX_JSON_VALUES // 2
    response = Response(200, body=b"[" + b",".join(count * [value]) + b"]")

    failure, held_s = await judge_beside(response, json=f"length(@) == `{count}`")

    assert failure is None
    assert held_s < HELD_S


@pytest.mark.parametrize("charset", ["cp1252", "iso8859_8", "utf-8", "utf-16", "gb18030"])
@pytest.mark.parametrize("byte", [b"\x81", b"\xfc"])
@pytest.mark.parametrize("size", [20_000, MB])
async def test_a_body_that_cannot_be_decoded_holds_nothing(charset: str, byte: bytes, size: int) -> None:
    response = Response(200, body=byte * size, charset=charset)

    failure, held_s = await judge_beside(response, body_regex="b")

    assert failure is not None
    assert held_s < HELD_S


async def test_a_body_of_which_nothing_is_expected_needs_no_thread() -> None:
    before = set(threading.enumerate())

    judging = asyncio.ensure_future(Judge(Expect()).judge(Response(200, body=bytes(MB))))
    await asyncio.sleep(0)

    assert judging.done()
    assert not set(threading.enumerate()) - before


LARGE = Response(200, body=b"a" * MB)


async def test_no_thread_left_is_our_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    with pytest.raises(OwnTroubleError, match="can't start new thread"):
        await Judge(Expect(body_regex=("b",))).judge(LARGE)


async def test_a_bug_in_a_thread_is_raised_where_it_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("a bug")

    monkeypatch.setattr("monitor.probe.judging.judge.judged", fail)

    with pytest.raises(AssertionError, match="a bug"):
        await Judge(Expect(body_regex=("b",))).judge(LARGE)


async def test_judging_that_is_cancelled_reports_nothing() -> None:
    before = set(threading.enumerate())
    judge = Judge(Expect(body_regex=("(?:a|b)*a(?:a|b){20}c",)))
    judging = asyncio.ensure_future(judge.judge(Response(200, body=bytes(LETTERS))))
    await asyncio.sleep(0)
    (thread,) = set(threading.enumerate()) - before

    judging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await judging

    await asyncio.to_thread(thread.join, 60)
    assert not thread.is_alive()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)
EXPRESSIONS = (
    """
a.b[0] == `1` | a[?b > `1`][0].c | a[::-1][:2] | sort_by(@, &a)[0] | max_by(@, &b).c == 'x' | sum(@) > `0`
avg(a) < `2` | ceil(a) == floor(b) | contains(@, a) | contains(a, 'x') | join(',', @) | keys(@) | map(&a, @)
merge(@, a) | to_number(a) > `1` | ceil(to_number(@)) | abs(to_number(a)) > `0` | not_null(a, b)
reverse(a) | sort(@) | type(@) == 'x' | starts_with(a, 'x') | ends_with(b, c)
to_string(@) == 'x' | length(@) > `1`
values(@)[] | !a
""".strip()
    .replace("\n", " | ")
    .split(" | ")
)


@given(VALUES, st.sampled_from(EXPRESSIONS))
def test_whatever_the_json_is_it_is_judged(value: object, expression: str) -> None:
    response = Response(200, body=msgspec.json.encode(value))

    failure = judged([json_is_true([expression])], response)

    assert failure is None or failure[0] == Reason.JSON
