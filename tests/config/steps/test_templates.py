"""Texts with names of values, and what comes in their places."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from monitor.config.public_url import Expanded, public_text, public_url
from monitor.config.steps.bodies import form_text, in_json, read_json
from monitor.config.steps.templates import (
    beginning,
    check_step_url,
    filled,
    filled_url,
    joined,
    names_in,
    pieces,
)


def outside(text: str, *spans: tuple[int, int]) -> Expanded:
    return Expanded(text, spans)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("{{a}} and {{ b-2 }}", ["a", "b-2"]),
        ('{"a": {{a}}}', ["a"]),
        ('{"a": {"b": 1}}', []),
        ("{{", [""]),
        ("{{1}}", [""]),
        ("{{a b}}", [""]),
        (outside("{{a}}{{b}}", (0, 5)), ["b"]),
        (outside("{{a}}", (1, 2)), []),
    ],
)
def test_names_in_double_braces_are_found(text: str, names: list[str]) -> None:
    assert names_in(text) == names


def test_a_value_takes_the_place_of_its_name_and_is_not_shown() -> None:
    text = filled(outside("x {{a}} env {{a}}", (8, 11)), {"a": "{{a}}"})

    assert text == "x {{a}} env {{a}}"
    assert public_text(text) == "x *** *** ***"


@given(st.lists(st.tuples(st.text(min_size=1), st.booleans())))
def test_pieces_that_are_joined_are_the_same_pieces(parts: list[tuple[str, bool]]) -> None:
    text = joined(parts)

    assert text == "".join(part for part, _ in parts)
    assert [part for part, is_outside in pieces(text) if is_outside] == [part for part, yes in parts if yes]


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://x.example{{v}}", "https://x.examplea/b?c=d +"),
        ("https://x.example/{{v}}/{{v}}", "https://x.example/a/b?c=d +/a%2Fb%3Fc%3Dd%20%2B"),
        (
            "https://x.example/?v={{v}}&w={{v}}",
            "https://x.example/?v=a%2Fb%3Fc%3Dd%20%2B&w=a%2Fb%3Fc%3Dd%20%2B",
        ),
    ],
)
def test_a_value_in_a_query_is_encoded(url: str, sent: str) -> None:
    assert filled_url(url, {"v": "a/b?c=d +"}) == sent


def test_a_filled_url_is_shown_without_the_value() -> None:
    url = filled_url("https://x.example/{{v}}?page=2&v={{v}}", {"v": "ab"})

    assert public_url(url) == "https://x.example/***?page=2&v=***"


def test_the_beginning_of_a_url_keeps_what_came_from_the_environment_marked() -> None:
    url = beginning(outside("https://x.example/{{v}}", (8, 17)))

    assert (url, public_url(url)) == ("https://x.example/", "https://***/")


@pytest.mark.parametrize(
    ("url", "mistake"),
    [
        ("{{v}}", "a saved value in the scheme, host or port; must come after them"),
        ("https://{{v}}/", "a saved value in the scheme, host or port; must come after them"),
        ("https://x.example:{{v}}/", "a saved value in the scheme, host or port; must come after them"),
        ("https://user:{{v}}@x.example/", "a saved value in the scheme, host or port; must come after them"),
        ("https://x.example{{v}}/a b", "a space or a control character in the URL; must be http://HOST or"),
        ("ftp://x.example/", "not such a URL; must be http://HOST or https://HOST"),
        (5, "is a number; must be a URL"),
    ],
)
def test_a_url_that_cannot_be_one_is_refused(url: object, mistake: str) -> None:
    with pytest.raises(ValueError, match=mistake):
        check_step_url(url)


@pytest.mark.parametrize(
    "url", ["https://x.example{{path}}", "http://x.example:81/?a={{ b }}", "https://x.example/a:{{b}}"]
)
def test_values_may_stand_after_the_host(url: str) -> None:
    assert check_step_url(url) == url


@pytest.mark.parametrize(
    "document", ["a", 1, 1.5, True, None, [], {}, [1, [2]], {"a": [{"b": 'ü"\\'}, 2], "c\n": None}]
)
def test_json_is_sent_as_it_is_written(document: Any) -> None:

    assert json.loads(read_json(document).get_secret_value()) == document


def test_what_came_from_the_environment_is_marked_in_json() -> None:
    text = read_json({"a": ["{{v}}", outside('{{v}}"', (0, 6))]}).get_secret_value()

    assert filled(text, {"v": '"'}, in_json) == r'{"a": ["\"", "{{v}}\""]}'
    assert public_text(filled(text, {"v": '"'}, in_json)) == '{"a": ["***", "***"]}'


def test_json_that_nobody_can_write_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for document in (float("inf"), deep):
        with pytest.raises(ValueError, match="nested too deeply, or a number too large; must be JSON"):
            read_json(document)


def test_a_form_is_sent_as_browsers_do() -> None:
    form = {"a b": SecretStr("{{v}} &"), "c": SecretStr(outside("{{v}}", (0, 5)))}

    text = form_text(form, {"v": "1+1"})

    assert text == "a+b=1%2B1+%26&c=%7B%7Bv%7D%7D"
    assert public_text(text) == "a+b=***+%26&c=***"
