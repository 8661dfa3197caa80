"""A check of several requests, against a shop where people log in."""

import base64
import threading
from datetime import UTC, datetime, timedelta
from socket import socket

import msgspec
import pytest
from pydantic import SecretStr

from monitor.config.model import BasicAuth, Monitor
from monitor.probe.exchange.connector import Network
from monitor.probe.steps.probe import StepsProbe
from monitor.result import OwnTroubleError, Reason, decode, encode
from tests.probe.steps.conftest import Walk
from tests.probe.steps.shop import BEARER, CSRF, PHRASE, SAVE_CSRF, SESSION, Shop, log_in
from tests.sites import Authority, Serve, answer, closed_port, hang, no_file_descriptor, ok, redirect


async def test_a_login_is_proven_by_the_page_behind_it(place: str, shop: Shop, walk: Walk) -> None:
    account = {"name": "account", "url": f"{place}/account", "expect": {"body_regex": "Hello Ada"}}

    result = await walk(*log_in(place), account)

    assert (result.up, result.reason, result.detail) == (True, None, None)
    assert (result.response_status, result.url) == (200, f"{place}/account")
    assert b"csrf=csrf%2BToken%2F42%3D%3D" in shop.requests[1]
    assert b"application/x-www-form-urlencoded" in shop.requests[1]
    assert result.steps is not None
    assert [(each.name, each.status, each.reason) for each in result.steps] == [
        ("form", 200, None),
        ("log in", 302, None),
        ("account", 200, None),
    ]
    assert result.response_time == pytest.approx(sum(each.seconds for each in result.steps))
    assert result.phases.processing == pytest.approx(
        sum(each.phases.processing or 0 for each in result.steps)
    )
    assert result.phases.tls is None


async def test_what_was_saved_is_nowhere_in_the_result(place: str, shop: Shop, walk: Walk) -> None:
    shop.pages["/account"] = (
        f"HTTP/1.1 500 No\r\nX-Was: {CSRF}\r\nContent-Length: 50\r\n\r\n{SESSION}".encode()
    )
    save = {"session": {"cookie": "session"}}
    account = {"name": "account", "url": f"{place}/account?of={{{{session}}}}&page=2"}

    result = await walk(*log_in(place, save=save), account)

    sent = encode(result).value.decode()
    assert result.reason == Reason.DISCONNECTED
    assert shop.asked(f"/account?of={SESSION}&page=2")
    assert result.url == f"{place}/account?of=***&page=2"
    assert result.evidence is not None
    assert (result.evidence.headers["X-Was"], result.evidence.body) == ("***", "***")
    assert result.response_data == "***"
    assert not [secret for secret in (CSRF, SESSION, PHRASE) if secret in sent]


async def test_a_value_is_masked_in_the_page_that_it_was_saved_from(place: str, walk: Walk) -> None:
    step = {"name": "form", "url": f"{place}/login", "save": SAVE_CSRF}

    good = await walk(step)
    bad = await walk(step | {"expect": {"status": 204}})

    shown = '<form><input name="csrf" value="***"></form>'
    assert (good.response_data, bad.response_data) == (shown, shown)
    assert bad.evidence is not None
    assert bad.evidence.body == shown


async def test_a_value_is_masked_in_the_redirects_that_lead_with_it_to_another_page(
    place: str, shop: Shop, walk: Walk
) -> None:
    shop.pages["/start"] = redirect(f"/next?by={SESSION}", f"X-Session: {SESSION}")
    shop.pages["/next"] = ok(b"", f"X-Session: {SESSION}")
    save = {"session": {"header": "X-Session"}}

    result = await walk({"name": "in", "url": f"{place}/start", "save": save, "expect": {"status": 204}})

    assert result.evidence is not None
    assert [hop.url for hop in result.evidence.hops] == [f"{place}/start", f"{place}/next?by=***"]


async def test_the_first_step_that_fails_ends_the_check(place: str, shop: Shop, walk: Walk) -> None:
    wrong = {"user": "ada", "password": "wrong", "csrf": "{{csrf}}"}

    result = await walk(
        *log_in(place, form=wrong),
        {"name": "account", "url": f"{place}/account"},
        {"name": "log out", "url": f"{place}/logout", "always": True},
    )

    assert (result.up, result.reason) == (False, Reason.STATUS)
    assert result.detail == 'step "log in": status 403, expected 200-399'
    assert (result.response_status, result.response_data, result.url) == (403, "no", f"{place}/login")
    assert result.steps is not None
    assert [(each.name, each.reason) for each in result.steps] == [
        ("form", None),
        ("log in", "status"),
        ("log out", None),
    ]
    assert not shop.asked("/account")


async def test_a_step_that_always_runs_and_fails_is_a_failure(place: str, walk: Walk) -> None:
    result = await walk(
        {"name": "in", "url": f"{place}/token"}, {"name": "out", "url": f"{place}/none", "always": True}
    )

    assert result.detail == 'step "out": status 404, expected 200-399'


async def test_the_failure_that_came_first_is_the_reason(place: str, walk: Walk) -> None:
    result = await walk(
        {"name": "in", "url": f"http://127.0.0.1:{closed_port()}/"},
        {"name": "out", "url": f"{place}/none", "always": True},
    )

    assert result.reason == Reason.CONNECT_REFUSED
    assert result.steps is not None
    assert [each.reason for each in result.steps] == ["connect_refused", "status"]


async def test_a_step_that_lacks_a_value_does_not_run_after_a_failure(
    place: str, shop: Shop, walk: Walk
) -> None:
    result = await walk(
        {"name": "in", "url": f"{place}/none", "save": {"id": {"json": "id"}}},
        {"name": "out", "url": f"{place}/logout?{{{{id}}}}", "always": True},
    )

    assert result.steps is not None
    assert [each.name for each in result.steps] == ["in"]
    assert len(shop.requests) == 1


async def test_a_failed_step_can_save_what_the_last_step_needs(place: str, shop: Shop, walk: Walk) -> None:
    save = {"id": {"json": "id"}}

    result = await walk(
        {"name": "in", "url": f"{place}/token", "save": save, "expect": {"status": 201}},
        {"name": "out", "url": f"{place}/logout?id={{{{id}}}}", "always": True},
    )

    assert result.reason == Reason.STATUS
    assert len(shop.asked("/logout?id=7")) == 1


async def test_a_value_that_is_missing_is_a_failure_with_its_evidence(place: str, walk: Walk) -> None:
    result = await walk({"name": "in", "url": f"{place}/token", "save": {"id": {"json": "nothing"}}})

    assert (result.up, result.reason, result.response_status) == (False, Reason.JSON, 200)
    assert result.detail == 'step "in": nothing to save as id: nothing is null, expected a string or a number'
    assert result.evidence is not None
    assert "access_token" in result.evidence.body
    assert result.steps is not None
    assert result.steps[0].reason == "json"


async def test_what_was_expected_in_vain_is_the_reason_before_what_is_missing(place: str, walk: Walk) -> None:
    save = {"id": {"json": "id"}}

    result = await walk({"name": "in", "url": f"{place}/none", "save": save})

    assert (result.reason, result.detail) == (Reason.STATUS, 'step "in": status 404, expected 200-399')


async def test_what_a_saved_value_contains_is_masked_too(place: str, shop: Shop, walk: Walk) -> None:
    shop.pages["/start"] = ok(base64.b64encode(b"ada:s3cret-phrase"))
    shop.pages["/echo"] = ok(b"it is s3cret-phrase")

    result = await walk(
        {"name": "start", "url": f"{place}/start", "save": {"basic": {"body_regex": "(.+)"}}},
        {"name": "echo", "url": f"{place}/echo", "headers": {"Authorization": "Basic {{basic}}"}},
    )

    assert result.response_data == "it is ***"


async def test_values_are_filled_into_headers_json_and_paths(place: str, shop: Shop, walk: Walk) -> None:
    save = {"bearer": {"json": "access_token"}, "id": {"json": "id"}, "yes": {"json": "ok"}}
    auth = {"Authorization": "Bearer {{ bearer }}"}

    result = await walk(
        {"name": "token", "url": f"{place}/token", "json": {"grant": ["a", 1]}, "save": save},
        {"name": "api", "url": f"{place}/api", "headers": auth},
        {"name": "put", "url": f"{place}/logout?{{{{id}}}}", "method": "PUT", "body": '{"id": {{id}}}'},
        {"name": "post", "url": f"{place}/logout", "json": {"is": "{{yes}}"}},
    )

    assert result.up
    asked = [[*each.split()[:2], each.partition(b"\r\n\r\n")[2]] for each in shop.requests]
    assert asked == [
        [b"POST", b"/token", b'{"grant": ["a", 1]}'],
        [b"GET", b"/api", b""],
        [b"PUT", b"/logout?7", b'{"id": 7}'],
        [b"POST", b"/logout", b'{"is": "true"}'],
    ]
    assert b"Content-Type: application/json" in shop.requests[0]


async def test_a_path_that_was_saved_is_used_as_it_is(place: str, shop: Shop, walk: Walk) -> None:
    shop.pages["/start"] = ok(b"", "X-Next: /token?page=2&size=5")

    result = await walk(
        {"name": "start", "url": f"{place}/start", "save": {"next": {"header": "x-next"}}},
        {"name": "next", "url": f"{place}{{{{next}}}}"},
    )

    assert result.up
    assert len(shop.asked("/token?page=2&size=5")) == 1


@pytest.mark.parametrize("value", [".evil.example/", "@evil.example/", ":81/", "\\@evil.example/", "[/"])
async def test_no_site_chooses_where_the_next_step_goes(
    value: str, place: str, shop: Shop, walk: Walk
) -> None:
    shop.pages["/start"] = ok(b"", f"X-Next: {value}")

    result = await walk(
        {"name": "start", "url": f"{place}/start", "save": {"next": {"header": "X-Next"}}},
        {"name": "next", "url": f"{place}{{{{next}}}}", "headers": {"Authorization": "Bearer secret-1"}},
    )

    assert (result.reason, result.response_status) == (Reason.PROTOCOL_ERROR, None)
    assert result.detail == (
        'step "next": the URL or a header cannot be used with the values that were saved'
    )
    assert len(shop.requests) == 1


async def test_a_url_that_values_make_too_long_is_not_asked(place: str, shop: Shop, walk: Walk) -> None:
    shop.pages["/start"] = ok(b"/" + b"?" * 16_383)

    result = await walk(
        {"name": "start", "url": f"{place}/start", "save": {"next": {"body_regex": "(.+)"}}},
        {"name": "next", "url": f"{place}{{{{next}}}}"},
    )

    assert result.reason == Reason.PROTOCOL_ERROR
    assert len(shop.requests) == 1


async def test_a_value_cannot_end_a_header(place: str, shop: Shop, walk: Walk) -> None:
    shop.pages["/start"] = ok(b'{"value": "a\\r\\nX-Evil: 1"}')

    result = await walk(
        {"name": "start", "url": f"{place}/start", "save": {"value": {"json": "value"}}},
        {"name": "next", "url": f"{place}/token", "headers": {"X-Value": "{{value}}"}},
    )

    assert result.reason == Reason.PROTOCOL_ERROR
    assert len(shop.requests) == 1


async def test_timeout_s_is_for_all_steps(place: str, serve: Serve, walk: Walk) -> None:
    result = await walk(
        {"name": "fast", "url": f"{place}/token"},
        {"name": "slow", "url": serve(hang)},
        {"name": "out", "url": f"{place}/logout", "always": True},
        timeout_s=2.0,
    )

    assert result.reason == Reason.RESPONSE_TIMEOUT
    assert result.steps is not None
    assert [each.name for each in result.steps] == ["fast", "slow"]


async def test_the_time_to_find_a_value_is_not_that_of_the_site(place: str, shop: Shop) -> None:
    shop.pages["/list"] = ok(f"[{'1,' * 50_000}1]".encode())
    save = {f"value{number}": {"json": "length([?@ == `1`])"} for number in range(6)}
    steps = [
        {"name": "list", "url": f"{place}/list", "save": save},
        {"name": "token", "url": f"{place}/token"},
    ]
    monitor = Monitor.model_validate({"name": "site", "url": place, "steps": steps, "timeout_s": 1.0})

    async with Network(1) as network:
        probe = StepsProbe(monitor, "here", network)
        result = await probe.check(0.0)
        await probe.close()

    assert (result.reason, result.detail) == (None, None)


async def test_a_step_has_a_time_limit_of_its_own(place: str, serve: Serve, shop: Shop, walk: Walk) -> None:
    result = await walk(
        {"name": "slow", "url": serve(hang), "timeout_s": 1},
        {"name": "out", "url": f"{place}/logout", "always": True},
    )

    assert result.detail == 'step "slow": no response within 1 s'
    assert len(shop.asked("/logout")) == 1


async def test_all_steps_together_may_be_slow(serve: Serve, walk: Walk) -> None:
    def slow(connection: socket, test_ended: threading.Event) -> None:
        test_ended.wait(0.02)
        answer(ok(b""))(connection, test_ended)

    place = serve(slow)

    result = await walk(*({"name": each, "url": place} for each in "ab"), degraded_after_s=0.03)

    assert (result.up, result.degraded) == (True, True)
    assert result.detail == f"took {result.response_time:.3f} s, degraded after 0.03 s"


async def test_a_step_has_the_settings_of_the_monitor_where_it_has_none(
    place: str, shop: Shop, walk: Walk
) -> None:
    shop.pages["/start"] = redirect("/token")
    settings = {
        "follow_redirects": False,
        "expect": {"status": 302},
        "headers": {"X-Own": "1", "X-Both": "1"},
    }

    result = await walk(
        {"name": "as the monitor", "url": f"{place}/start", "headers": {"x-both": "2"}},
        {"name": "by itself", "url": f"{place}/start", "follow_redirects": True, "expect": {"status": 200}},
        **settings,
    )

    assert result.up
    assert b"X-Own: 1" in shop.requests[0]
    assert b"x-both: 2" in shop.requests[0]
    assert b"X-Both: 1" not in shop.requests[0]


async def test_credentials_of_the_monitor_are_for_the_origin_of_its_first_step(
    place: str, shop: Shop, serve: Serve, walk: Walk
) -> None:
    elsewhere = Shop(pages={"/back": redirect(f"{place}/token")})
    settings = {
        "basic_auth": BasicAuth(username="ada", password=SecretStr("hunter-2")),
        "headers": {"X-Key": "key-1234", "User-Agent": "checker", "Accept-Language": "de"},
    }
    other = serve(elsewhere.script)

    result = await walk(
        {"name": "first", "url": f"{place}/token"},
        {"name": "other", "url": f"{other}/token", "headers": {"X-Step": "step-1234"}},
        {"name": "back", "url": f"{other}/back", "headers": {"X-Step": "step-1234"}},
        **settings,
    )

    first, back = shop.requests
    assert result.up
    assert b"Authorization: Basic" in first
    assert b"X-Key: key-1234" in first
    for request in elsewhere.requests:
        assert b"Authorization" not in request
        assert b"key-1234" not in request
        assert b"X-Step: step-1234" in request
        assert b"User-Agent: checker" in request
        assert b"Accept-Language: de" in request
    assert b"Authorization" not in back
    assert b"step-1234" not in back


async def test_what_a_step_sends_wins_over_the_credentials_of_the_monitor(place: str, walk: Walk) -> None:
    result = await walk(
        {"name": "token", "url": f"{place}/token", "save": {"bearer": {"json": "access_token"}}},
        {"name": "api", "url": f"{place}/api", "headers": {"Authorization": "Bearer {{bearer}}"}},
        bearer_token=SecretStr("monitor's own"),
    )

    assert result.up
    assert result.response_data == "for ***"
    assert BEARER not in encode(result).value.decode()


async def test_the_earliest_certificate_of_all_steps_counts(
    place: str, serve: Serve, authority: Authority, walk: Walk
) -> None:
    now = datetime.now(UTC)
    soon, late = (
        serve(
            answer(ok(b"")),
            authority.server("localhost", not_after=now + timedelta(days=days)),
            host="localhost",
        )
        for days in (3, 30)
    )

    result = await walk(
        {"name": "soon", "url": soon},
        {"name": "late", "url": late},
        {"name": "plain", "url": f"{place}/token"},
        ca_file=authority.file,
    )

    assert result.up
    assert result.certificate_expires_at == pytest.approx((now + timedelta(days=3)).timestamp(), abs=2)
    assert result.tls is None


async def test_the_next_check_begins_without_cookies_and_values(place: str, shop: Shop) -> None:
    steps = [*log_in(place), {"name": "account", "url": f"{place}/account"}]
    monitor = Monitor.model_validate({"name": "site", "url": f"{place}/login", "steps": steps})

    async with Network(1) as network:
        probe = StepsProbe(monitor, "here", network)
        first, second = await probe.check(1.0), await probe.check(2.0)
        await probe.close()

    assert (first.up, second.up) == (True, True)
    assert [b"Cookie" in each for each in shop.requests] == [False, True, True] * 2
    assert (first.scheduled_at, second.scheduled_at) == (1.0, 2.0)
    assert first.id != second.id


async def test_own_trouble_in_a_step_is_no_result(place: str, shop: Shop, walk: Walk) -> None:
    with no_file_descriptor(), pytest.raises(OwnTroubleError):
        await walk({"name": "first", "url": f"{place}/token"})

    assert not shop.requests


async def test_a_detail_of_many_failures_is_cut(place: str, walk: Walk) -> None:
    step = {"name": "n" * 200, "url": f"{place}/token", "expect": {"body_regex": ["y" * 300] * 5}}

    result = await walk(step)

    assert result.detail is not None
    assert len(result.detail) == 1_000


async def test_a_message_with_steps_is_read_as_it_was_written(place: str, walk: Walk) -> None:
    result = await walk({"name": "first", "url": f"{place}/token"})

    assert decode(encode(result).value) == result
    assert msgspec.to_builtins(result)["steps"][0]["name"] == "first"
