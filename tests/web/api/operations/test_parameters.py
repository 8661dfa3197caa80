"""What parameters allow, and how the others are refused."""

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from multidict import MultiDict

from monitor.web.api.operations import parameters as api
from monitor.web.api.operations.parameters import Parameter, read
from monitor.web.api.operations.problems import ProblemError
from monitor.web.queries import Place

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()
WORDS = api.text("q", "words")
NAMES = api.text("monitor", "names", repeats=True)
COLOUR = api.choice("colour", "a colour", ("red", "green"))


def one(parameter: Parameter, *written: str) -> Any:
    return read(MultiDict((parameter.name, each) for each in written), [parameter])[parameter.name]


def refused(parameter: Parameter, *written: str) -> str:
    with pytest.raises(ProblemError) as raised:
        one(parameter, *written)
    assert raised.value.status == 400
    (mistake,) = raised.value.errors
    assert mistake.parameter == parameter.name
    assert str(raised.value) == f"{mistake.parameter} {mistake.problem}"
    return mistake.problem


@pytest.mark.parametrize(
    "written",
    [
        f"{NOON:.0f}",
        f"{NOON:.3f}",
        "1.7956080e9",
        "2026-11-25T12:00:00Z",
        "2026-11-25 12:00",
        "2026-11-25T13:00:00+01:00",
        "2026-11-25T12:00:00.000000",
    ],
)
def test_an_instant_is_unix_seconds_or_iso_8601(written: str) -> None:
    assert one(api.SINCE, written) == NOON


def test_a_day_is_its_first_instant() -> None:
    assert one(api.UNTIL, "2026-11-25") == NOON - 43_200


@pytest.mark.parametrize(
    "written",
    ["", "noon", "nan", "inf", "1_0", " 1", "1e99", "٣", "2026-13-01", "-1e12", "0001-01-01T00:00+14:00"],
)
def test_what_is_no_instant_is_refused(written: str) -> None:
    assert refused(api.SINCE, written) == "must be Unix seconds, or a date and time in ISO 8601, once"


@pytest.mark.parametrize(("written", "limit"), [("1", 1), ("1000", 1_000), ("07", 7)])
def test_a_limit_is_from_1_to_1000(written: str, limit: int) -> None:
    assert one(api.LIMIT, written) == limit


@pytest.mark.parametrize("written", ["0", "1001", "-1", "1.5", "", "ten", "٣", "99999999999999999999"])
def test_other_limits_are_refused(written: str) -> None:
    assert refused(api.LIMIT, written) == "must be a whole number from 1 to 1,000, once"


def test_a_choice_is_one_of_its_words() -> None:
    assert one(COLOUR, "green") == "green"
    assert refused(COLOUR, "blue") == "must be one of red, green, once"
    assert one(api.FORMAT) == "json"


def test_a_text_is_what_postgresql_can_take() -> None:
    assert one(WORDS, "Käse / 奶酪") == "Käse / 奶酪"
    assert refused(WORDS, "a\0b") == "must be UTF-8 without NUL, once"
    assert refused(WORDS, "a\udcffb") == "must be UTF-8 without NUL, once"


def test_what_repeats_is_a_list() -> None:
    assert one(NAMES) == ()
    assert one(NAMES, "a", "b") == ["a", "b"]
    assert refused(NAMES, "a", "\0") == "must be UTF-8 without NUL"


def test_what_does_not_repeat_may_come_once() -> None:
    assert refused(WORDS, "a", "b") == "must be UTF-8 without NUL, once"


def test_a_cursor_is_read_as_it_was_written() -> None:
    assert one(api.PLACE_CURSOR, api.place_cursor(NOON + 0.123456, 2**62)) == Place(NOON + 0.123456, 2**62)
    assert one(api.NAME_CURSOR, "Käse".encode().hex()) == "Käse".encode()


def test_the_first_page_needs_no_cursor() -> None:
    assert one(api.PLACE_CURSOR) == Place(math.inf, 2**63 - 1)
    assert one(api.NAME_CURSOR) == b""


@pytest.mark.parametrize("parameter", [api.PLACE_CURSOR, api.NAME_CURSOR])
@pytest.mark.parametrize("written", ["", "0", "xy", "AB", "0" * 31, "00\n"])
def test_other_cursors_are_refused(parameter: Parameter, written: str) -> None:
    assert refused(parameter, written) == "must be `next` of an earlier answer, once"


def test_all_mistakes_are_reported_at_once() -> None:
    query = MultiDict([("limit", "0"), ("since", "noon"), ("colour", "red"), ("other", "1"), ("other", "2")])

    with pytest.raises(ProblemError) as raised:
        read(query, [api.SINCE, COLOUR, api.LIMIT])

    assert [each.parameter for each in raised.value.errors] == ["other", "since", "limit"]
    assert "other is not known; allowed are since, colour, limit; since must be" in str(raised.value)


def test_where_there_are_no_parameters_none_is_known() -> None:
    with pytest.raises(ProblemError, match=r"^other is not known; there are none$"):
        read(MultiDict(other="1"), [])


def test_a_stretch_is_a_day_by_default() -> None:
    assert api.time_range({"since": None, "until": None}, NOON, 60) == (NOON - 60, NOON)
    assert api.time_range({"since": 5.0, "until": 7.0}, NOON, 60) == (5, 7)
    assert api.time_range({"since": None, "until": 70.0}, NOON, 60) == (10, 70)


def test_a_stretch_has_a_length() -> None:
    with pytest.raises(ProblemError, match=r"^since must be earlier than until \(by default now\)$"):
        api.time_range({"since": NOON, "until": None}, NOON, 60)
