"""One check of one URL, as its monitor is configured."""

import asyncio
import socket
import threading
from typing import Any
from uuid import UUID

import msgspec
import pytest
from pydantic import SecretStr

from monitor.config.model import BasicAuth, Monitor
from monitor.probe.exchange.connector import Network
from monitor.probe.probe import Probe
from monitor.result import Reason, result_id
from tests.sites import Authority, Check, Script, Serve, answer, ok, read_request, redirect, tunnel

DELAY_S = 0.1


def site(pages: dict[str, bytes], requests: list[bytes] | None = None) -> Script:
    """Answer each path with its page, one request for each connection; record the requests."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        request = read_request(connection)
        if requests is not None:
            requests.append(request)
        connection.sendall(pages[request.split()[1].decode()])

    return script


async def test_a_good_answer_is_up(serve: Serve, check: Check) -> None:
    url = serve(answer(ok(b"hello")), host="localhost")

    result = await check(url + "/page?token=secret")

    assert (result.up, result.reason, result.detail) == (True, None, None)
    assert (result.response_status, result.response_data, result.body_bytes) == (200, "hello", 5)
    assert (result.monitor, result.location, result.scheduled_at) == ("site", "here", 1000.0)
    assert result.id == result_id("here", "site", 1000.0) != UUID(int=0)
    assert result.url.startswith(url + "/page")
    assert "secret" not in result.url
    assert (result.http_version, result.ip, result.redirects) == ("1.1", "127.0.0.1", 0)
    assert (result.body_truncated, result.certificate_expires_at) == (False, None)


async def test_results_of_a_process_are_numbered_as_they_are_made(serve: Serve, check: Check) -> None:
    url = serve(answer(ok(b"hello")), host="localhost")

    first, second = await check(url), await check(url)

    assert first.process == second.process != ""
    assert first.number < second.number


async def test_the_phases_of_a_plain_check_fill_its_time(serve: Serve, check: Check) -> None:
    result = await check(serve(answer(ok(b"hello")), host="localhost"))

    phases = result.phases
    assert phases.tls is None
    times = [phases.resolve, phases.connect, phases.processing, phases.transfer]
    assert sum(filter(None, times)) <= result.response_time
    assert None not in times


def slow(connection: socket.socket, test_ended: threading.Event) -> None:
    read_request(connection)
    test_ended.wait(DELAY_S)
    connection.sendall(ok(b"hello")[:-1])
    test_ended.wait(DELAY_S)
    connection.sendall(b"o")


async def test_each_phase_is_timed_apart(serve: Serve, check: Check, authority: Authority) -> None:
    tls = authority.server("localhost")

    def think(*_: object) -> None:
        threading.Event().wait(DELAY_S)

    tls.sni_callback = think

    def getaddrinfo(*args: Any, **kwargs: Any) -> Any:
        threading.Event().wait(DELAY_S)
        return socket.getaddrinfo(*args, **kwargs)

    async with Network(1, getaddrinfo) as network:
        result = await check(serve(slow, tls, host="localhost"), of=network, ca_file=authority.file)

    phases = result.phases
    assert phases.connect is not None
    assert phases.connect > 0
    for phase in (phases.resolve, phases.tls, phases.processing, phases.transfer):
        assert phase is not None
        assert phase > 0.9 * DELAY_S
    assert sum(msgspec.structs.astuple(phases)) <= result.response_time  # no delay is counted twice


async def test_redirects_are_followed_and_their_times_summed(serve: Serve, check: Check) -> None:
    requests: list[bytes] = []

    def late(connection: socket.socket, test_ended: threading.Event) -> None:
        test_ended.wait(DELAY_S)
        site({"/": redirect("/one"), "/one": redirect("/two"), "/two": ok(b"here")}, requests)(
            connection, test_ended
        )

    result = await check(serve(late))

    assert (result.up, result.redirects, result.response_data) == (True, 2, "here")
    # A site may begin to wait while a busy machine has not told us yet that the connection is there.
    assert (result.phases.connect or 0) + (result.phases.processing or 0) > 2.7 * DELAY_S
    assert len(requests) == 3


async def test_a_redirect_loop_ends(serve: Serve, check: Check) -> None:
    requests: list[bytes] = []

    result = await check(serve(site({"/": redirect("/", status=307)}, requests)), max_redirects=3)

    assert (result.reason, result.detail) == (Reason.TOO_MANY_REDIRECTS, "more than 3 redirects")
    assert (result.response_status, result.redirects, result.response_data) == (307, 3, "")
    assert result.http_version == "1.1"
    assert len(requests) == 4


async def test_as_many_redirects_as_allowed_are_followed(serve: Serve, check: Check) -> None:
    url = serve(site({"/": redirect("/one"), "/one": ok()}))

    assert (await check(url, max_redirects=1)).up
    assert (await check(url, max_redirects=0)).reason == Reason.TOO_MANY_REDIRECTS


async def test_a_redirect_is_an_answer_where_none_is_followed(serve: Serve, check: Check) -> None:
    result = await check(serve(answer(redirect("/one"))), follow_redirects=False)

    assert (result.up, result.response_status, result.redirects) == (True, 302, 0)


async def test_a_failure_after_a_redirect_counts_the_redirect(serve: Serve, check: Check) -> None:
    result = await check(serve(answer(redirect(serve(answer())))))

    assert (result.reason, result.redirects, result.response_status) == (Reason.DISCONNECTED, 1, None)


async def test_credentials_in_a_redirect_beside_ours_are_a_protocol_error(serve: Serve, check: Check) -> None:
    requests: list[bytes] = []
    pages = {"/": b"", "/in": ok()}
    url = serve(site(pages, requests))
    pages["/"] = redirect(url.replace("//", "//user:pass@") + "/in")

    result = await check(url, bearer_token=SecretStr("secret"))

    assert result.reason == Reason.PROTOCOL_ERROR


async def test_cookies_last_for_one_check(serve: Serve) -> None:
    requests: list[bytes] = []
    url = serve(site({"/": redirect("/in", "Set-Cookie: visit=1"), "/in": ok()}, requests))

    async with Network(1) as network:
        probe = Probe(Monitor(name="site", url=url), "here", network)
        await probe.check(1.0)
        await probe.check(2.0)
        await probe.close()

    assert [b"visit=1" in each for each in requests] == [False, True, False, True]


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({}, b"User-Agent: website-health-monitor/0.1"),
        ({"headers": {"user-agent": SecretStr("mine")}}, b"user-agent: mine"),
        ({"headers": {"Accept-Encoding": SecretStr("identity")}}, b"Accept-Encoding: identity"),
        (
            {"basic_auth": BasicAuth(username="me", password=SecretStr("p:ß"))},
            b"Authorization: Basic bWU6cDrDnw==",
        ),
        ({"bearer_token": SecretStr("abc")}, b"Authorization: Bearer abc"),
        ({"method": "HEAD"}, b"HEAD / HTTP/1.1"),
    ],
)
async def test_the_request_is_as_configured(
    settings: dict[str, Any], line: bytes, serve: Serve, check: Check
) -> None:
    requests: list[bytes] = []

    result = await check(serve(site({"/": ok()}, requests)), **settings)

    assert result.up
    lines = requests[0].split(b"\r\n")
    assert line in lines
    assert len({each.partition(b":")[0].lower() for each in lines}) == len(lines) - 1


@pytest.mark.parametrize("user", ["me:pass", "me", ":pass"])
async def test_a_user_in_the_url_is_sent_as_authorization(user: str, serve: Serve, check: Check) -> None:
    requests: list[bytes] = []

    result = await check(serve(site({"/": ok()}, requests)).replace("//", f"//{user}@"))

    assert result.up
    assert b"Authorization: Basic" in requests[0]


async def test_a_body_is_sent(serve: Serve, check: Check) -> None:
    received: list[bytes] = []

    def script(connection: socket.socket, _: threading.Event) -> None:
        request = read_request(connection)
        while not request.endswith("ä".encode()):
            request += connection.recv(100)
        received.append(request)
        connection.sendall(ok())

    assert (await check(serve(script), method="POST", body=SecretStr("ä"))).up
    assert received[0].startswith(b"POST ")


async def test_a_plain_site_is_asked_for_through_the_proxy(serve: Serve, check: Check) -> None:
    requests: list[bytes] = []

    result = await check("http://site.test/", proxy=serve(tunnel(requests)).replace("//", "//user:secret@"))

    assert result.response_data == "by proxy"
    assert requests[0].startswith(b"GET http://site.test/ ")
    assert b"Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=" in requests[0]


async def test_a_status_that_is_not_expected_is_down_and_its_body_stored(serve: Serve, check: Check) -> None:
    result = await check(serve(answer(b"HTTP/1.0 503 No\r\n\r\nbroken")))

    assert (result.up, result.reason) == (False, Reason.STATUS)
    assert result.detail == "status 503, expected 200-399"
    assert (result.response_data, result.http_version) == ("broken", "1.0")


@pytest.mark.parametrize("store_body", ["never", "on_failure"])
async def test_a_body_that_is_not_wanted_is_not_stored(store_body: str, serve: Serve, check: Check) -> None:
    result = await check(serve(answer(ok(b"hello"))), store_body=store_body, store_body_bytes=1)

    assert (result.response_data, result.body_bytes, result.body_truncated) == ("", 5, False)


async def test_a_stored_body_is_cut(serve: Serve, check: Check) -> None:
    result = await check(serve(answer(ok("ääää".encode()))), store_body_bytes=5)

    assert (result.response_data, result.body_bytes, result.body_truncated) == ("ää", 8, True)


async def test_a_body_is_read_in_its_charset(serve: Serve, check: Check) -> None:
    result = await check(serve(answer(ok(b"\xe4\0", "Content-Type: text/html; charset=latin-1"))))

    assert result.response_data == "ä\N{REPLACEMENT CHARACTER}"


async def test_a_reset_is_not_the_end_of_a_body_without_a_length(serve: Serve, check: Check) -> None:
    def script(connection: socket.socket, test_ended: threading.Event) -> None:
        answer(b"HTTP/1.1 200 OK\r\n\r\nabc", then="reset")(connection, test_ended)
        test_ended.wait(DELAY_S)

    result = await check(serve(script))

    assert result.reason == Reason.DISCONNECTED
    assert result.response_status == 200


async def test_a_failed_request_is_not_repeated(serve: Serve, check: Check) -> None:
    requests: list[bytes] = []

    await check(serve(site({"/": b""}, requests)))

    assert len(requests) == 1


def keeping(requests: list[bytes], answers: int) -> Script:
    def script(connection: socket.socket, _: threading.Event) -> None:
        for _each in range(answers):
            requests.append(read_request(connection))
            connection.sendall(ok(b"hello"))
        if requests[-1:] != [b""]:
            requests.append(read_request(connection))

    return script


async def checks(url: str, times: int, **settings: Any) -> list[Any]:
    async with Network(1) as network:
        probe = Probe(Monitor(name="site", url=url, **settings), "here", network)
        results = [await probe.check(float(each)) for each in range(times)]
        await probe.close()
    return results


async def test_a_connection_is_kept_where_wanted(serve: Serve) -> None:
    first, second = await checks(serve(keeping([], 2)), 2, reuse_connection=True)

    assert first.up
    assert second.up
    assert first.phases.connect is not None
    assert (second.phases.resolve, second.phases.connect) == (None, None)
    assert second.ip == "127.0.0.1"


async def test_a_connection_is_fresh_by_default(serve: Serve) -> None:
    results = await checks(serve(keeping([], 1)), 2)

    assert all(each.up and each.phases.connect is not None for each in results)


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "TRACE", "PUT", "DELETE"])
async def test_a_kept_connection_that_the_site_closes_is_no_failure(serve: Serve, method: str) -> None:
    requests: list[bytes] = []

    first, second = await checks(serve(keeping(requests, 1)), 2, reuse_connection=True, method=method)

    assert (first.up, second.up) == (True, True)
    assert (second.redirects, len([each for each in requests if each])) == (0, 3)


async def test_a_kept_connection_that_the_site_closes_fails_what_must_not_be_repeated(serve: Serve) -> None:
    first, second = await checks(serve(keeping([], 1)), 2, reuse_connection=True, method="POST")

    assert (first.up, second.reason) == (True, Reason.DISCONNECTED)


async def test_a_check_that_is_cancelled_closes_its_connection(serve: Serve) -> None:
    asked, closed = threading.Event(), threading.Event()

    def script(connection: socket.socket, _: threading.Event) -> None:
        read_request(connection)
        asked.set()
        connection.recv(1)
        closed.set()

    async with Network(1) as network:
        probe = Probe(Monitor(name="site", url=serve(script)), "here", network)
        checking = asyncio.create_task(probe.check(1.0))
        assert await asyncio.to_thread(asked.wait, 60)
        checking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await checking
        assert await asyncio.to_thread(closed.wait, 60)
        await probe.close()


async def test_a_probe_that_never_checked_closes() -> None:
    async with Network(1) as network:
        await Probe(Monitor(name="site", url="http://a.test"), "here", network).close()
