"""Answers as tables."""

import msgspec

from monitor.web.api.tables import columns, table


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


def test_no_text_is_a_formula() -> None:
    texts = ["=1+1", "+1", "-1", "@sum", "\tx", "\rx"]

    lines = table([Row(text) for text in texts], ["name"]).decode().split("\r\n")

    assert [line.strip('"') for line in lines[1:5]] == ["'=1+1", "'+1", "'-1", "'@sum"]
    assert b"'\tx" in table([Row("\tx")], ["name"])
    assert b"'\rx" in table([Row("\rx")], ["name"])
