"""Which secrets the checks of a monitor send."""

import contextlib
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from monitor.config.model import Monitor
from monitor.config.public_url import Expanded
from monitor.config.sent_secrets import sent_secrets
from tests.config.conftest import Read

SITE = "https://site.example/"


@pytest.mark.parametrize(
    ("settings", "secrets"),
    [
        ({}, set()),
        ({"url": f"{SITE}?page=1&token=a%2Fb+c&key=1#sid=2"}, {"a%2Fb+c", "a/b+c", "a/b c", "1", "2"}),
        ({"url": "https://user:p%40ss@site.example/"}, {"p%40ss", "p@ss", "user:p@ss"}),
        ({"url": "http://u@b:p@[::1]/@c"}, {"p", "u@b:p"}),
        ({"url": "https://t%40ken@site.example/"}, {"t%40ken", "t@ken"}),
        ({"proxy": "http://user:pass@proxy.example/"}, {"pass", "user:pass"}),
        ({"bearer_token": "bearer"}, {"bearer"}),
        (
            {
                "oauth2": {
                    "token_url": "https://idp.example/?key=1",
                    "client_id": "me",
                    "client_secret": "2",
                    "endpoint_params": {"audience": "https://site.example/", "api_key": "3"},
                }
            },
            {"1", "2", "3"},
        ),
        ({"basic_auth": {"username": "user", "password": "pass"}}, {"pass", "user:pass"}),
        ({"headers": {"Accept": "text/html", "X-Status-Code": "1"}}, set()),
        ({"headers": {"X-Api-Key": "key"}}, {"key"}),
        ({"headers": {"Authorization": "Token abc"}}, {"Token abc", "abc"}),
        (
            {"headers": {"Authorization": f"basic {b64encode(b'user:pass').decode()}"}},
            {"basic dXNlcjpwYXNz", "dXNlcjpwYXNz", "user:pass", "pass"},
        ),
        ({"headers": {"Authorization": "Basic no"}}, {"Basic no", "no"}),
        ({"headers": {"Cookie": 'a=1; b="two"'}}, {'a=1; b="two"', "1", "two", 'b="two"'}),
        ({"body": "user=me&pass%77ord=a%2Fb"}, {"user=me&pass%77ord=a%2Fb", "a%2Fb", "a/b"}),
        ({"body": '{"user": "me", "password": "x"}'}, {'{"user": "me", "password": "x"}', "x"}),
    ],
)
def test_what_is_probably_a_secret_is_one(settings: dict[str, Any], secrets: set[str]) -> None:
    assert sent_secrets(Monitor(**{"name": "site", "url": SITE, **settings})) == secrets


def test_what_came_from_the_environment_or_a_file_is_a_secret_wherever_it_is(
    read: Read, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("from file\n")
    environ = {"A": "first", "B": "second", "C": "third", "D": "fourth"}

    config = read(
        environ,
        url_to_monitor="https://site.example/${A}",
        defaults={
            "headers": {"Accept": "text/${B}", "X-Other": {"file": "secret"}},
            "body": "a ${C} and ${D}",
        },
    )

    assert sent_secrets(config.monitors[0]) == {
        *environ.values(),
        "from file",
        "a third and fourth",
    }


@pytest.mark.parametrize(
    ("step", "secrets"),
    [
        ({"url": f"{SITE}?token=abc"}, {"abc"}),
        ({"headers": {"X-Api-Key": "key"}}, {"key"}),
        ({"body": "password=x"}, {"password=x", "x"}),
        ({"json": {"password": "x", "a": "b"}}, {'{"password": "x", "a": "b"}', "x"}),
        ({"form": {"password": "p&q", "user": "me"}}, {"p&q"}),
        ({"form": {"user": Expanded("me", ((0, 2),))}}, {"me"}),
        ({"json": [Expanded("env", ((0, 3),))]}, {"env", '["env"]'}),
    ],
)
def test_steps_have_secrets_as_well(step: dict[str, Any], secrets: set[str]) -> None:
    steps = [{"name": "first", "url": SITE, **step}]

    assert sent_secrets(Monitor.model_validate({"name": "site", "url": SITE, "steps": steps})) == secrets


@given(url=st.text(alphabet="ab:@/?#[]%=&;.\u2100", max_size=40))
def test_any_url_has_secrets_or_none(url: str) -> None:
    with contextlib.suppress(ValidationError):
        sent_secrets(Monitor(name="site", url=f"http://{url}"))


def test_a_body_of_any_size_is_looked_through_once() -> None:
    many = "&".join(f"token={number}" for number in range(100_000))

    assert len(sent_secrets(Monitor(name="site", url=SITE, body=SecretStr(many)))) == 1 + 100
    for run in ("a", "a=", "a ", " ", '"', "=", "token"):
        body = run * (1_000_000 // len(run))
        assert body in sent_secrets(Monitor(name="site", url=SITE, body=SecretStr(body)))
