"""Answers as tables."""

import csv
import io

import msgspec
import pytest

from monitor.web.api.operations.tables import columns, table


class Row(msgspec.Struct):
    name: str
    at: float | None = None
    places: list[str] = []
    past: bool = False


def test_columns_are_the_fields() -> None:
    assert columns(Row) == ["name", "at", "places", "past"]
    assert columns(Row, without=("at",)) == ["name", "places", "past"]


def test_a_table_has_a_head_and_a_line_for_each_row() -> None:
    rows = [Row("shop, big", 1.5, ["here", "there"]), Row('the "blog"', past=True)]

    assert table(rows, columns(Row)) == (
        b'name,at,places,past\r\n"shop, big",1.5,"here, there",false\r\n"the ""blog""",,,true\r\n'
    )


def test_a_table_goes_on_without_a_head() -> None:
    assert table([Row("a", -1)], ["name", "at"], head=False) == b"a,-1\r\n"


class Of(msgspec.Struct):
    who: str


class Owned(msgspec.Struct):
    name: str
    labels: dict[str, str]
    of: Of | None = None


def test_a_cell_can_be_a_field_of_a_field_and_several_labels() -> None:
    rows = [Owned("shop", {"team": "web", "tier": "1"}, Of("Ada")), Owned("blog", {})]

    assert table(rows, ["name", "labels", "of.who"]) == (
        b'name,labels,of_who\r\nshop,"team=web, tier=1",Ada\r\nblog,,\r\n'
    )


WIDE = "\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"


@pytest.mark.parametrize("sign", "=+-@\t\r\n" + WIDE)
def test_no_text_is_a_formula(sign: str) -> None:
    written = table([Row(f"{sign}1+1"), Row("x", places=[f"{sign}1", "2"])], ["name", "places"]).decode()

    _, (text, _), (_, several) = csv.reader(io.StringIO(written, newline=""))
    assert (text, several) == (f"'{sign}1+1", f"'{sign}1, 2")


@pytest.mark.parametrize("separator", [";", "\t", "\r", "\n"])
@pytest.mark.parametrize("sign", ["=", "+", "-", "@"])
def test_no_text_is_a_formula_where_spreadsheets_split(separator: str, sign: str) -> None:
    text = f"a{separator}{sign}1"

    assert f"a{separator}'{sign}1" in table([Row(text)], ["name"]).decode()


@pytest.mark.parametrize("sign", ["=", "+", "-", "@"])
def test_quotes_do_not_hide_a_formula_from_us(sign: str) -> None:
    assert table([Row(f'a;"{sign}1')], ["name"], head=False) == f'"a;\'""{sign}1"\r\n'.encode()


@pytest.mark.parametrize("text", ["a=b", "text/html; charset=utf-8", "2 - 1", "a@b.example", "x;y", ""])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert table([Row(text, 1)], ["name", "at"], head=False).decode() == f"{text},1\r\n"


def test_a_negative_number_is_a_number() -> None:
    assert table([Row("a", -1)], ["at"], head=False) == b"-1\r\n"
