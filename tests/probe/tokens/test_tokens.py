"""Checks of sites that want an access token, and the requests for it."""

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from monitor.config.model import Config, Monitor, MonitorSettings, OAuth2
from monitor.probe.all_addresses import AddressesProbe
from monitor.probe.connectivity import Connectivity, GuardedProbe
from monitor.probe.exchange.connector import Network
from monitor.probe.probe import Probe
from monitor.probe.steps.probe import StepsProbe
from monitor.probe.tokens.authorized import AuthorizedProbe
from monitor.probe.tokens.tokens import APART_S, Tokens
from monitor.reload import Reload
from monitor.result import CheckResult, OwnTroubleError, Reason
from tests.clock import Clock
from tests.probe.tokens.server import TokenServer, answered
from tests.sites import (
    Authority,
    Serve,
    answer,
    closed_port,
    no_file_descriptor,
    ok,
    redirect,
    tunnel,
)
from tests.test_schedule import make_schedule

CLIENT_KEY = "correct horse & battery"


class World:
    """A token server, the tokens of one program, and the probes that it has made."""

    def __init__(self, network: Network, serve: Serve) -> None:
        self.network, self.clock, self.server = network, Clock(1_000.0), TokenServer()
        self.tokens = Tokens(network, self.clock)
        self.token_url = f"{serve(self.server.script)}/token"
        self.probes: list[AuthorizedProbe] = []

    def oauth2(self, **settings: Any) -> OAuth2:
        client = {"token_url": self.token_url, "client_id": "shop:1", "client_secret": CLIENT_KEY}
        return OAuth2(**{**client, **settings})

    def probe(self, url: str, oauth2: OAuth2 | None = None, **settings: Any) -> AuthorizedProbe:
        monitor = Monitor(name="site", url=url, oauth2=oauth2 or self.oauth2(), **settings)
        kind = AddressesProbe if monitor.addresses == "all" else Probe
        assert monitor.oauth2
        token = self.tokens.of(monitor, monitor.oauth2)
        self.probes.append(
            AuthorizedProbe(monitor, "here", token, lambda each: kind(each, "here", self.network))
        )
        return self.probes[-1]

    async def check(self, url: str, oauth2: OAuth2 | None = None, **settings: Any) -> CheckResult:
        return await self.probe(url, oauth2, **settings).check(1.0)


@pytest.fixture
async def world(serve: Serve) -> AsyncIterator[World]:
    async with Network(4, environ={}) as network:
        world = World(network, serve)
        yield world
        for probe in world.probes:
            await probe.close()


async def test_a_token_is_asked_for_and_sent(world: World, serve: Serve) -> None:
    requests: list[bytes] = []

    result = await world.check(serve(world.server.site(requests)))

    assert (result.up, result.reason) == (True, None)
    assert b"Authorization: Bearer token-1\r\n" in requests[0]
    ((head, form),) = world.server.requests
    assert head.startswith("POST /token HTTP/1.1\r\n")
    assert "Content-Type: application/x-www-form-urlencoded" in head
    basic = head.partition("Authorization: Basic ")[2].partition("\r\n")[0]
    assert b64decode(basic) == b"shop%3A1:correct+horse+%26+battery"
    assert form == {"grant_type": "client_credentials"}


async def test_what_a_token_server_wants_is_in_the_form(world: World, serve: Serve) -> None:
    oauth2 = world.oauth2(
        scopes=["read", "write"],
        auth_method="client_secret_post",
        endpoint_params={"audience": "https://api.example/"},
    )

    assert (await world.check(serve(world.server.site()), oauth2)).up
    ((head, form),) = world.server.requests
    assert "Authorization" not in head
    assert form == {
        "grant_type": "client_credentials",
        "scope": "read write",
        "audience": "https://api.example/",
        "client_id": "shop:1",
        "client_secret": CLIENT_KEY,
    }


async def test_the_time_for_a_token_is_no_part_of_the_response_time(world: World, serve: Serve) -> None:
    world.server.may_answer.clear()
    checking = asyncio.create_task(world.check(serve(world.server.site())))
    await asyncio.to_thread(world.server.asked.wait)
    began = asyncio.get_running_loop().time()
    await asyncio.sleep(0.3)
    waited_s = asyncio.get_running_loop().time() - began
    world.server.may_answer.set()

    result = await checking
    whole_s = asyncio.get_running_loop().time() - began

    assert result.up
    assert result.response_time <= whole_s - waited_s


async def test_a_token_is_kept_until_shortly_before_it_expires(world: World, serve: Serve) -> None:
    requests: list[bytes] = []
    probe = world.probe(serve(world.server.site(requests)))

    for now in (1_000.0, 1_001.0, 4_299.0, 4_301.0, 4_302.0):  # 300 s before its end
        world.clock.now = now
        assert (await probe.check(now)).up

    sent = [request.partition(b"Bearer ")[2].partition(b"\r\n")[0] for request in requests]
    assert sent == [b"token-1"] * 3 + [b"token-2"] * 2
    assert len(world.server.requests) == 2


async def test_what_checked_with_an_old_token_is_closed(world: World, serve: Serve) -> None:
    closed: list[Probe] = []

    class Noted(Probe):
        async def close(self) -> None:
            closed.append(self)
            await super().close()

    site = Monitor(name="site", url=serve(world.server.site()), oauth2=world.oauth2())
    token = world.tokens.of(site, world.oauth2())
    probe = AuthorizedProbe(site, "here", token, lambda each: Noted(each, "here", world.network))
    world.probes.append(probe)
    for number in range(2):
        await probe.check(1.0)
        assert len(closed) == number
        world.clock.now += 3_600


async def test_monitors_that_share_a_token_wait_for_one_request(world: World, serve: Serve) -> None:
    site = serve(world.server.site())
    world.server.may_answer.clear()

    checks = [asyncio.create_task(world.check(site)) for _ in range(5)]
    await asyncio.to_thread(world.server.asked.wait)
    world.server.may_answer.set()
    results = await asyncio.gather(*checks)

    assert all(each.up for each in results)
    assert len(world.server.requests) == 1


@pytest.mark.parametrize(
    ("other", "settings"),
    [
        ({"client_secret": "another secret"}, {}),
        ({"client_id": "another"}, {}),
        ({"scopes": "read"}, {}),
        ({"auth_method": "client_secret_post"}, {}),
        ({}, {"deny_addresses": "10.0.0.0/8"}),
    ],
)
async def test_what_is_asked_for_in_another_way_is_another_token(
    other: dict[str, Any], settings: dict[str, Any], world: World, serve: Serve
) -> None:
    site = serve(answer(ok()))

    assert (await world.check(site)).up
    assert (await world.check(site, world.oauth2(**other), **settings)).up
    assert len(world.server.requests) == 2


async def test_while_one_check_waits_for_a_new_token_others_send_the_old_one(
    world: World, serve: Serve
) -> None:
    requests: list[bytes] = []
    renews, goes_on = (world.probe(serve(answer(ok())), timeout_s=60) for _ in range(2))
    goes_on = world.probe(serve(world.server.site(requests)))
    await renews.check(1.0)
    world.clock.now += 3_500
    world.server.asked.clear()
    world.server.may_answer.clear()
    renewing = asyncio.create_task(renews.check(2.0))
    await asyncio.to_thread(world.server.asked.wait)

    result = await goes_on.check(2.0)
    world.server.may_answer.set()
    await renewing

    assert result.up
    assert b"token-1" in requests[0]
    assert len(world.server.requests) == 2


async def test_a_token_that_cannot_be_renewed_is_used_to_its_end(world: World, serve: Serve) -> None:
    probe = world.probe(serve(answer(ok())))
    assert (await probe.check(1.0)).up
    world.server.instead = answered(503)

    world.clock.now = 1_000.0 + 3_599
    before = await probe.check(2.0)
    world.clock.now = 1_000.0 + 3_601 + APART_S
    after = await probe.check(3.0)

    assert before.up
    assert (after.up, after.reason) == (False, Reason.AUTH_ERROR)


async def test_without_a_token_the_site_is_not_asked(world: World, serve: Serve) -> None:
    requests: list[bytes] = []
    world.server.instead = answered(
        401,
        error="invalid_client",
        error_description=f"{CLIENT_KEY} is\nwrong",
        error_uri="https://x.example/",
    )

    result = await world.check(serve(world.server.site(requests)))

    assert (result.up, result.reason, result.response_status) == (False, Reason.AUTH_ERROR, None)
    assert result.detail == (
        f"no access token from {world.token_url}: the answer was 401: invalid_client: *** is wrong"
    )
    assert (result.monitor, result.location, result.scheduled_at) == ("site", "here", 1.0)
    assert requests == []


def gives(token: object, kind: object = "Bearer") -> bytes:
    return answered(200, access_token=token, token_type=kind)


@pytest.mark.parametrize(
    ("instead", "why"),
    [
        (b"", "the connection was closed before a response"),
        (answered(200), "the answer has no access_token that can be sent"),
        (gives("a\r\nb"), "the answer has no access_token that can be sent"),
        (gives(7), "the answer has no access_token that can be sent"),
        (ok(b"<html>"), "the answer has no access_token that can be sent"),
        (ok(b"[" * 65_000), "the answer has no access_token that can be sent"),
        (gives("x", " " * 65_536), "the answer has no access_token that can be sent"),
        (ok(b'"' + b"x" * 100_000), "the answer has no access_token that can be sent"),
        (gives("x", "mac"), "the token is not of the type Bearer: mac"),
        (gives("x", 7), "the token is not of the type Bearer: 7"),
        (redirect("/elsewhere"), "the answer was 302"),
        (answered(400, error=7), "the answer was 400"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
            "the connection was closed in the middle of the body",
        ),
    ],
)
async def test_what_is_no_token_is_an_error_of_authorization(
    instead: bytes, why: str, world: World, serve: Serve
) -> None:
    world.server.instead = instead

    result = await world.check(serve(answer(ok())))

    assert result.reason == Reason.AUTH_ERROR
    assert result.detail == f"no access token from {world.token_url}: {why}"


async def test_a_token_server_that_is_away_is_told_apart_from_the_site(world: World, serve: Serve) -> None:
    port = closed_port()

    result = await world.check(
        serve(answer(ok())), world.oauth2(token_url=f"http://127.0.0.1:{port}/?key=s3cret")
    )

    assert result.reason == Reason.AUTH_ERROR
    assert result.detail == (
        f"no access token from http://127.0.0.1:{port}/?key=***: 127.0.0.1 port {port} refused the connection"
    )


async def test_a_token_server_that_hangs_is_left_and_not_asked_again_at_once(
    world: World, serve: Serve
) -> None:
    world.server.may_answer.clear()
    probe = world.probe(serve(answer(ok())), timeout_s=1)

    first = await probe.check(1.0)
    at_once = await probe.check(2.0)
    world.clock.now += APART_S
    world.server.may_answer.set()
    later = await probe.check(3.0)

    assert first.reason == at_once.reason == Reason.AUTH_ERROR
    assert first.detail == at_once.detail == f"no access token from {world.token_url}: no answer within 1 s"
    assert first.response_time >= 1
    assert later.up
    assert len(world.server.requests) == 2


async def test_a_check_with_more_time_asks_again_at_once(world: World, serve: Serve) -> None:
    site = serve(answer(ok()))
    world.server.may_answer.clear()
    short = asyncio.create_task(world.check(site, timeout_s=1))
    await asyncio.to_thread(world.server.asked.wait)
    long = asyncio.create_task(world.check(site, timeout_s=60))
    given_up = await short
    world.server.may_answer.set()

    assert given_up.reason == Reason.AUTH_ERROR
    assert (await long).up
    assert len(world.server.requests) == 2


async def test_a_check_that_waited_less_lets_nobody_ask_again_after_an_answer(
    world: World, serve: Serve
) -> None:
    site = serve(answer(ok()))
    world.server.instead = answered(503)
    world.server.may_answer.clear()
    long = asyncio.create_task(world.check(site, timeout_s=60))
    await asyncio.to_thread(world.server.asked.wait)
    short = await world.check(site, timeout_s=1)
    world.server.may_answer.set()
    await long
    again = await world.check(site, timeout_s=60)

    assert [each.detail for each in (short, again)] == [
        f"no access token from {world.token_url}: {why}"
        for why in ("no answer within 1 s", "the answer was 503")
    ]
    assert len(world.server.requests) == 1


async def test_a_request_that_is_cancelled_leaves_the_next_one_free(world: World, serve: Serve) -> None:
    world.server.may_answer.clear()
    probe = world.probe(serve(answer(ok())))
    checking = asyncio.create_task(probe.check(1.0))
    await asyncio.to_thread(world.server.asked.wait)
    checking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await checking
    world.server.may_answer.set()

    at_once = await probe.check(2.0)
    world.clock.now += APART_S
    later = await probe.check(3.0)

    assert (at_once.detail or "").endswith(": the request for one was given up")
    assert later.up


@pytest.mark.parametrize(
    ("expires_in", "lasts_s"),
    [
        (0, 10),
        (-5, 10),
        ("60", 54),
        (100_000_000, 86_400 - 300),
        (10**400, 270),
        ("soon", 270),
        (None, 270),
        ([], 270),
    ],
)
async def test_a_life_that_cannot_be_is_taken_for_one_that_can(
    expires_in: Any, lasts_s: float, world: World, serve: Serve
) -> None:
    world.server.says["expires_in"] = expires_in
    probe = world.probe(serve(answer(ok())))

    await probe.check(1.0)
    world.clock.now += lasts_s - 1.1
    await probe.check(2.0)
    asked = len(world.server.requests)
    world.clock.now += 1.2
    await probe.check(3.0)

    assert (asked, len(world.server.requests)) == (1, 2)


async def test_a_token_without_a_type_is_taken(world: World, serve: Serve) -> None:
    del world.server.says["token_type"]

    assert (await world.check(serve(answer(ok())))).up


async def test_after_401_the_next_check_has_a_new_token(world: World, serve: Serve) -> None:
    probe = world.probe(serve(world.server.site()))
    await probe.check(1.0)
    world.server.newest = "revoked"

    world.clock.now += APART_S
    refused = await probe.check(2.0)
    again = await probe.check(3.0)

    assert (refused.reason, refused.response_status) == (Reason.STATUS, 401)
    assert again.up
    assert len(world.server.requests) == 2


async def test_401_to_any_step_counts(world: World, serve: Serve) -> None:
    requests: list[bytes] = []
    url = serve(world.server.site(requests))
    steps = ({"name": "orders", "url": url}, {"name": "log out", "url": serve(answer(ok())), "always": True})
    settings = {"name": "site", "url": url, "steps": steps, "oauth2": world.oauth2()}
    monitor = Monitor.model_validate(settings)
    assert monitor.oauth2
    probe = AuthorizedProbe(
        monitor,
        "here",
        world.tokens.of(monitor, monitor.oauth2),
        lambda each: StepsProbe(each, "here", world.network),
    )

    first = await probe.check(1.0)
    world.server.newest = "revoked"
    world.clock.now += APART_S
    refused = await probe.check(2.0)
    again = await probe.check(3.0)
    await probe.close()

    assert (first.up, refused.up, again.up) == (True, False, True)
    assert [step.status for step in refused.steps or ()] == [401, 200]
    assert b"Bearer token-2" in requests[-1]


async def test_a_site_that_refuses_each_token_does_not_flood_the_token_server(
    world: World, serve: Serve
) -> None:
    probe = world.probe(serve(answer(answered(401))))

    reasons = [(await probe.check(1.0)).reason for _ in range(3)]

    assert reasons == [Reason.STATUS, Reason.AUTH_ERROR, Reason.AUTH_ERROR]
    assert len(world.server.requests) == 1
    assert "refused the last one less than 10 s ago" in ((await probe.check(4.0)).detail or "")


async def test_the_refusal_of_an_older_token_leaves_the_newest_one(world: World, serve: Serve) -> None:
    probe = world.probe(serve(answer(ok())))
    await probe.check(1.0)

    world.tokens.of(probe._monitor, world.oauth2()).refused("older")

    assert (await probe.check(2.0)).up


async def test_a_token_that_a_site_sends_back_is_masked(world: World, serve: Serve) -> None:
    result = await world.check(serve(world.server.site()))

    assert result.response_data == "welcome, ***"


async def test_a_secret_with_spaces_is_masked_where_they_are_one(world: World, serve: Serve) -> None:
    key = CLIENT_KEY.replace(" ", "  ")
    world.server.instead = answered(401, error=f"{key} is wrong")

    result = await world.check(serve(answer(ok())), world.oauth2(client_secret=key))

    assert (result.detail or "").endswith(": the answer was 401: *** is wrong")


async def test_no_token_goes_to_where_a_redirect_leads(world: World, serve: Serve) -> None:
    requests: list[bytes] = []
    elsewhere = serve(world.server.site(requests))

    await world.check(serve(answer(redirect(elsewhere))))

    assert b"Authorization" not in requests[0]


async def test_a_token_is_asked_for_by_the_rules_of_the_check(
    world: World, serve: Serve, authority: Authority
) -> None:
    connects: list[bytes] = []
    secure = f"{serve(world.server.script, authority.server('127.0.0.1'))}/token"
    site = serve(answer(ok()))

    denied = await world.check(site, deny_addresses="127.0.0.0/8")
    untrusted = await world.check(site, world.oauth2(token_url=secure))
    trusted = await world.check(site, world.oauth2(token_url=secure), ca_file=authority.file)
    by_proxy = await world.check(
        "http://site.test/",
        world.oauth2(token_url=secure),
        ca_file=authority.file,
        proxy=serve(tunnel(connects)),
    )

    assert (denied.reason, "must not be connected to" in (denied.detail or "")) == (Reason.AUTH_ERROR, True)
    assert (untrusted.reason, "certificate" in (untrusted.detail or "")) == (Reason.AUTH_ERROR, True)
    assert trusted.up
    assert by_proxy.up
    assert [each.split()[0] for each in connects] == [b"CONNECT", b"GET"]


async def test_all_addresses_get_the_same_token(world: World, serve: Serve) -> None:
    requests: list[bytes] = []
    url = serve(world.server.site(requests), host="localhost")

    result = await world.check(url, addresses="all", ip_family=4)

    assert result.up
    assert b"Bearer token-1" in requests[0]


async def test_own_trouble_is_no_error_of_authorization(world: World, serve: Serve) -> None:
    probe = world.probe(serve(answer(ok())))

    with no_file_descriptor(), pytest.raises(OwnTroubleError):
        await probe.check(1.0)

    assert (await probe.check(2.0)).up


async def test_without_a_network_a_token_that_cannot_be_had_says_nothing_of_the_site(
    world: World, serve: Serve
) -> None:
    oauth2 = world.oauth2(token_url=f"http://127.0.0.1:{closed_port()}/")
    probe = world.probe(serve(answer(ok())), oauth2)
    guarded = GuardedProbe(probe, Connectivity(f"127.0.0.1:{closed_port()}", world.network))

    assert (await guarded.check(1.0)).up is None


async def test_the_program_checks_its_monitors_with_tokens_that_they_share(
    world: World, serve: Serve, tmp_path: Path
) -> None:
    site = serve(world.server.site())
    monitors = [Monitor(name=name, url=site, oauth2=world.oauth2()) for name in ("one", "other")]
    reload = Reload(Config(monitors=()), tmp_path, {}, world.network)

    for _, checker in reload.checkers(monitors):
        assert (await checker.check(1.0)).up
        await checker.close()

    assert len(world.server.requests) == 1


async def test_a_probe_that_never_checked_closes(world: World) -> None:
    await world.probe("http://site.test/").close()


async def _probed_twice(world: World, url: str, reload: Reload, module: MonitorSettings) -> None:
    for _ in range(2):
        target = Monitor.with_settings(module, name="target", url=url)
        ((_, checker),) = reload.checkers([target])
        assert (await checker.check(1.0)).up
        await checker.close()
        del checker
    assert len(world.server.requests) == 1


async def test_the_token_of_a_module_is_kept_from_one_probe_to_the_next(world: World, serve: Serve) -> None:
    module = MonitorSettings(oauth2=world.oauth2())
    reload = Reload(Config(monitors=(), modules={"api": module}), Path("config.json"), {}, world.network)

    await _probed_twice(world, serve(world.server.site()), reload, module)


async def test_the_token_of_a_module_that_is_new_is_kept_as_well(
    world: World, serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "config.json"
    client = {"token_url": world.token_url, "client_id": "shop:1", "client_secret": CLIENT_KEY}
    monitor = {"url": "https://shop.example/", "paused": True}
    path.write_text(json.dumps({"monitors": [monitor], "modules": {"api": {"oauth2": client}}}))
    reload = Reload(Config(monitors=()), path, {}, world.network)
    async with make_schedule(asyncio.Queue()) as schedule:
        await reload.look(schedule, now=True)

    await _probed_twice(world, serve(world.server.site()), reload, MonitorSettings(oauth2=world.oauth2()))
