"""What a monitor expects, and what is kept when a site does not do it."""

import gzip
from typing import Any

import pytest

from monitor.config_load import load
from monitor.result import Reason
from tests.sites import Check, Script, Serve, answer, ok

PAGE = b'{"status": "ok", "text": "Welcome to the shop"}'


@pytest.mark.parametrize(
    ("expect", "reason"),
    [
        ({"body_regex": "Welcome", "body_not_regex": "error", "json": "status == 'ok'"}, None),
        ({"body_regex": "Welcome", "body_not_regex": "error", "json": "status == 'no'"}, Reason.JSON),
        ({"body_regex": "Goodbye", "body_not_regex": "error", "json": "status == 'ok'"}, Reason.BODY),
        ({"body_regex": ["Welcome", "shop$"], "json": "status == 'ok'"}, Reason.BODY),
        ({"body_not_regex": "shop", "json": "status == 'ok'"}, Reason.BODY),
        ({"header_regex": {"server": "^nginx/1"}, "header_not_regex": {"X-Debug": "."}}, None),
        ({"header_regex": {"server": "^apache"}}, Reason.HEADER),
        ({"header_not_regex": {"SERVER": "nginx"}}, Reason.HEADER),
        ({"header_regex": {"via": "b"}}, None),
        ({"header_not_regex": {"via": "b"}}, Reason.HEADER),
        ({"max_response_time_s": 30}, None),
        ({"max_response_time_s": 0.001}, Reason.TOO_SLOW),
        ({"min_certificate_days": 30}, None),
        ({"status": 204, "body_regex": "Goodbye"}, Reason.STATUS),
    ],
)
async def test_all_that_is_expected_is_judged_on_one_response(
    expect: dict[str, Any], reason: Reason | None, serve: Serve, check: Check
) -> None:
    url = serve(pause_and(answer(ok(PAGE, "Server: nginx/1.2", "Via: a", "Via: b"))))

    result = await check(url, expect=expect)

    assert (result.up, result.reason) == (reason is None, reason)


def pause_and(script: Script) -> Script:
    def later(connection: Any, test_ended: Any) -> None:
        test_ended.wait(0.01)
        script(connection, test_ended)

    return later


async def test_text_is_found_at_the_end_of_a_long_compressed_page(serve: Serve, check: Check) -> None:
    body = gzip.compress(b"." * 1_000_000 + b"welcome")

    result = await check(serve(answer(ok(body, "Content-Encoding: gzip"))), expect={"body_regex": "welcome$"})

    assert (result.up, result.body_bytes) == (True, 1_000_007)


@pytest.mark.parametrize(
    ("expect", "reason"),
    [
        ({"body_regex": "Welcome"}, None),
        ({"body_regex": "shop"}, Reason.BODY_TOO_LARGE),
        ({"body_not_regex": "Welcome"}, Reason.BODY),
        ({"body_not_regex": "error"}, Reason.BODY_TOO_LARGE),
        ({"json": "status == 'ok'"}, Reason.BODY_TOO_LARGE),
        ({"json": "status == 'ok'", "body_not_regex": "Welcome"}, Reason.BODY),
    ],
)
async def test_a_body_past_the_limit_is_judged_as_far_as_it_was_read(
    expect: dict[str, Any], reason: Reason | None, serve: Serve, check: Check
) -> None:
    result = await check(serve(answer(ok(PAGE))), max_body_bytes=40, expect=expect)

    assert (result.up, result.reason) == (reason is None, reason)


@pytest.mark.parametrize(
    ("settings", "up", "degraded"),
    [
        ({"degraded_after_s": 0.005}, True, True),
        ({"degraded_after_s": 4}, True, False),
        ({"degraded_after_s": 0.005, "expect": {"max_response_time_s": 0.005}}, False, False),
        ({}, True, False),
    ],
)
async def test_a_site_that_is_slow_is_up_but_degraded(
    settings: dict[str, Any], up: bool, degraded: bool, serve: Serve, check: Check
) -> None:
    result = await check(serve(pause_and(answer(ok()))), **settings)

    assert (result.up, result.degraded) == (up, degraded)


async def test_a_value_from_the_environment_is_not_shown_in_a_detail(
    serve: Serve, check: Check, tmp_path: Any
) -> None:
    path = tmp_path / "config.json"
    url = serve(answer(ok(PAGE)))
    path.write_text(
        '{"defaults": {"expect": {"body_regex": "in ${A}", "header_regex": {"via": "${A}"},'
        ' "json": "a == \'${A}\'"}},'
        f' "url_to_monitor": "{url}"}}'
    )
    (monitor,) = load(path, {"A": "s3cret"}).monitors

    result = await check(url, expect=monitor.expect)

    assert (
        result.detail
        == "there is no header via; the body does not match in ***; a == '***' is false, expected true"
    )
