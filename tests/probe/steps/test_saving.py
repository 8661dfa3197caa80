"""What is saved of a response, and why not."""

from typing import Any

import pytest
from aiohttp import CookieJar
from multidict import CIMultiDict, CIMultiDictProxy

from monitor.config.steps.step import Save
from monitor.probe.response import Received, charset_in
from monitor.probe.steps.saving import MAX_LENGTH, Saved, Saves
from monitor.result import Reason


async def saved(
    save: dict[str, Any], body: bytes = b"", *headers: tuple[str, str], truncated: bool = False
) -> Saved:
    fields = CIMultiDictProxy(CIMultiDict(headers))
    charset = charset_in(fields.get("Content-Type", ""))
    seen = Received(status=200, headers=fields, charset=charset, body=bytearray(body), truncated=truncated)
    return await Saves({"it": Save(**save)}).find(seen, CookieJar())


@pytest.mark.parametrize(
    ("save", "body", "headers", "value"),
    [
        ({"json": "a.b"}, b'{"a": {"b": "c"}}', [], "c"),
        ({"json": "[0]"}, b"[1.5]", [], "1.5"),
        ({"json": "a"}, b'{"a": 12345678901}', [], "12345678901"),
        ({"json": "a"}, b'{"a": false}', [], "false"),
        ({"header": "X-It"}, b"", [("x-it", "one"), ("X-It", "two")], "one"),
        ({"header": "X-It", "regex": "^t(.*)$"}, b"", [("X-It", "one"), ("X-It", "two")], "wo"),
        ({"header": "X-It"}, b"", [("X-It", "\udcff")], "\N{REPLACEMENT CHARACTER}"),
        ({"body_regex": "it=(?:a|b)(.)"}, b"it=bc", [], "c"),
        (
            {"body_regex": "(.+)"},
            "ü".encode("latin-1"),
            [("Content-Type", "text/plain; charset=latin1")],
            "ü",
        ),
        ({"body_regex": '"(.+)"'}, b'"a&#43;b&amp;c"', [("Content-Type", "text/HTML")], "a+b&c"),
        ({"body_regex": '"(.+)"'}, b'"a&#43;b"', [("Content-Type", "text/plain")], "a&#43;b"),
    ],
)
async def test_a_value_is_found(
    save: dict[str, Any], body: bytes, headers: list[tuple[str, str]], value: str
) -> None:
    found = await saved(save, body, *headers)

    assert (found.values, found.failure) == ({"it": value}, None)
    assert value in found.secrets


@pytest.mark.parametrize(
    ("save", "body", "reason", "why"),
    [
        ({"json": "a"}, b"no", Reason.JSON, "the body is not JSON, or nested too deeply"),
        ({"json": "a"}, b"{}", Reason.JSON, "a is null, expected a string or a number"),
        ({"json": "a"}, b'{"a": []}', Reason.JSON, "a is a list, expected a string or a number"),
        ({"json": "a"}, b'{"a": ""}', Reason.JSON, "it is empty"),
        ({"json": "abs(a)"}, b'{"a": "b"}', Reason.JSON, "abs(a) does not fit this JSON"),
        ({"header": "X-It"}, b"", Reason.HEADER, "there is no header X-It"),
        ({"header": "X-Have", "regex": "(b)"}, b"", Reason.HEADER, 'the header X-Have does not match "(b)"'),
        ({"body_regex": "(b)"}, b"a", Reason.BODY, 'the body does not match "(b)"'),
        ({"body_regex": "a(b)?"}, b"a", Reason.BODY, 'the body does not match "a(b)?"'),
        ({"body_regex": "(a+)"}, b"a" * (MAX_LENGTH + 1), Reason.BODY, "it is longer than 16384 characters"),
        ({"cookie": "it"}, b"", Reason.HEADER, "there is no cookie it"),
    ],
)
async def test_why_nothing_is_saved(save: dict[str, Any], body: bytes, reason: Reason, why: str) -> None:
    found = await saved(save, body, ("X-Have", "a"))

    assert (found.values, found.failure) == ({}, (reason, f"nothing to save as it: {why}"))


async def test_a_page_cannot_have_a_number_that_python_does_not_read() -> None:
    written = "&#" + "9" * 5_000 + ";"

    found = await saved({"body_regex": "(&#.+)"}, written.encode(), ("Content-Type", "text/html"))

    why = "nothing to save as it: it has a character reference that no character has"
    assert found == Saved({}, {written}, (Reason.BODY, why))


async def test_what_is_beyond_the_part_that_was_read_is_not_decided() -> None:
    for save in ({"body_regex": "(b)"}, {"json": "a"}):
        found = await saved(save, b'{"a":', truncated=True)

        assert found.failure is not None
        assert found.failure[0] == Reason.BODY_TOO_LARGE


async def test_a_large_body_is_read_in_a_thread() -> None:
    found = await saved({"body_regex": "x(b+)"}, b"a" * 200_000 + b"xb")

    assert found.values == {"it": "b"}


async def test_the_first_of_several_failures_counts_and_the_others_are_saved() -> None:
    saves = Saves({"a": Save(json="a"), "b": Save(json="b"), "c": Save(json="c")})

    found = await saves.find(Received(status=200, body=bytearray(b'{"b": 1}')), CookieJar())

    assert found.values == {"b": "1"}
    assert found.failure is not None
    assert "as a:" in found.failure[1]
