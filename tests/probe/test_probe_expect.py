"""What a monitor expects, and what is kept when a response does not satisfy it."""

import gzip
from typing import Any

import pytest

from monitor.config.public_url import MASK
from monitor.config.reading.load import load
from monitor.result import Attempt, Evidence, Reason
from tests.sites import Check, Script, Serve, answer, ok, redirect

CONNECTED = (Attempt("127.0.0.1", "connected"),)
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
        ({"header_regex": {"via": ["b", "a"]}}, None),
        ({"header_regex": {"via": ["b", "c"]}}, Reason.HEADER),
        ({"header_regex_if_present": {"via": "b", "X-None": "."}}, None),
        ({"header_regex_if_present": {"via": ["a", "c"]}}, Reason.HEADER),
        ({"header_not_regex": {"via": ["c", "b"]}}, Reason.HEADER),
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
    assert result.content_length == len(body)


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


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("limit", "complete"), [(len(PAGE), True), (len(PAGE) - 1, False), (0, False)])
async def test_a_whole_body_is_one_that_ends_within_the_limit(
    limit: int, complete: bool, packed: bool, serve: Serve, check: Check
) -> None:
    page = ok(gzip.compress(PAGE), "Content-Encoding: gzip") if packed else ok(PAGE)

    result = await check(serve(answer(page)), max_body_bytes=limit, expect={"body_complete": True})

    assert (result.up, result.body_truncated) == (complete, not complete)
    if not complete:
        assert result.reason == Reason.BODY_TOO_LARGE
        assert result.detail == f"the body continues after the {limit} bytes that were read"


async def test_what_has_no_body_is_complete(serve: Serve, check: Check) -> None:
    site = serve(answer(ok(PAGE)[: -len(PAGE)]))

    result = await check(site, method="HEAD", max_body_bytes=0, expect={"body_complete": True})

    assert result.up


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
    if degraded:
        assert result.reason is None
        assert result.detail == f"took {result.response_time:.3f} s, degraded after 0.005 s"
    else:
        assert (result.detail is None) is up


NO = (
    b"HTTP/1.1 503 No\r\nServer: b\xe4d\r\nSet-Cookie: session=s3cret\r\nLocation: /?token=s3cret\r\n"
    b"Last-Modified: Thu, 01 Jan 1970 00:01:00 GMT\r\n\r\n" + b"broken\0" + b"." * 2_000
)


@pytest.mark.parametrize(
    ("store_body", "stored", "kept"), [("always", 2_009, 1_026), ("on_failure", 0, 1_026), ("never", 0, 0)]
)
async def test_a_response_that_was_not_accepted_is_kept_as_evidence(
    store_body: str, stored: int, kept: int, serve: Serve, check: Check
) -> None:
    result = await check(serve(answer(NO)), store_body=store_body)

    assert result.evidence is not None
    assert result.evidence.headers == {
        "Server": "b\ufffdd",
        "Set-Cookie": MASK,
        "Location": f"/?token={MASK}",
        "Last-Modified": "Thu, 01 Jan 1970 00:01:00 GMT",
    }
    assert len(result.evidence.body.encode()) == kept
    assert len(result.response_data.encode()) == stored
    assert (result.last_modified_at, result.content_length) == (60.0, None)


async def test_a_good_response_leaves_no_evidence(serve: Serve, check: Check) -> None:
    assert (await check(serve(answer(ok(PAGE))))).evidence is None


async def test_a_failure_without_a_response_leaves_none_of_it(serve: Serve, check: Check) -> None:
    assert (await check(serve(answer()))).evidence == Evidence({}, "", addresses=CONNECTED)


async def test_a_body_that_does_not_end_is_kept_as_evidence(serve: Serve, check: Check) -> None:
    site = serve(answer(ok(b"hello")[:-1], then="hang"))

    result = await check(site, timeout_s=1.0, store_body="on_failure")

    assert result.reason == Reason.BODY_TIMEOUT
    assert result.evidence == Evidence({"Content-Length": "5"}, "hell", addresses=CONNECTED)


async def test_the_redirect_too_many_is_kept_as_evidence(serve: Serve, check: Check) -> None:
    site = serve(answer(redirect("/a")))

    result = await check(site, max_redirects=1)

    assert result.evidence is not None
    assert (result.evidence.headers, result.evidence.body) == ({"Location": "/a", "Content-Length": "0"}, "")


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
        == """there is no header via; the body does not match "in ***"; a == '***' is false, expected true"""
    )
