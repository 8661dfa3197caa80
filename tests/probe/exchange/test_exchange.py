"""Requests of one check: what each says, to the site, to where redirects lead, to a proxy."""

import asyncio
from http.cookies import SimpleCookie
from typing import Any

import pytest
from pydantic import SecretStr
from yarl import URL

from monitor.config.model import Monitor, Target
from monitor.probe.exchange.connector import Network, begin_tls
from monitor.probe.exchange.request import Configured, redirected, tunnel_to
from monitor.probe.exchange.wire import Wire
from monitor.probe.failures import Failed
from monitor.probe.probe import Probe
from monitor.probe.timing import Timing
from monitor.result import Reason
from monitor.runtime.tls import trusting
from tests.probe.exchange.test_connector_own_origin import noting
from tests.sites import Check, Serve, answer, ok, redirect


def configured(url: str = "http://site.test/", **settings: Any) -> Configured:
    return Configured(Monitor(name="site", url=url, **settings))


def test_a_request_says_what_is_needed_and_no_more() -> None:
    assert configured("http://site.test:8080/page?x=1#there").first.head == (
        b"GET /page?x=1 HTTP/1.1\r\nHost: site.test:8080\r\nUser-Agent: website-health-monitor/0.1\r\n"
        b"Accept: */*\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nConnection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("settings", "lines"),
    [
        ({"method": "POST"}, {"Content-Length: 0", "Content-Type: application/octet-stream"}),
        ({"method": "DELETE"}, {"Content-Length: 0"}),
        ({"body": SecretStr("abc")}, {"Content-Length: 3", "Content-Type: application/octet-stream"}),
        ({"headers": {"host": SecretStr("other.test")}}, {"host: other.test"}),
    ],
)
def test_a_request_describes_its_body(settings: dict[str, Any], lines: set[str]) -> None:
    plain = set(configured(**settings).first.head.decode().split("\r\n")[1:])

    assert plain - set(configured().first.head.decode().split("\r\n")) == lines


@pytest.mark.parametrize(
    ("settings", "name"), [({}, "site.test"), ({"server_name": "other.test."}, "other.test")]
)
def test_tls_asks_for_a_name_without_a_dot_at_its_end(settings: dict[str, Any], name: str) -> None:
    assert configured("https://site.test./", **settings).first.server_name == name


def test_a_kept_connection_is_not_announced_to_close() -> None:
    assert b"Connection" not in configured(reuse_connection=True).first.head


def test_cookies_of_the_check_replace_those_that_are_configured() -> None:
    site = configured(headers={"cookie": SecretStr("a=1; b=2")})

    request = site.request("GET", URL("http://site.test/"), "/", SimpleCookie("b=3"), own=True)

    assert b"ookie: a=1; b=3\r\n" in request.head


def test_a_request_that_leaves_out_the_body_does_not_describe_it() -> None:
    headers = {name: SecretStr("a") for name in ("content-type", "Content-Language", "X-Content")}
    site = configured(method="POST", body=SecretStr("abc"), headers=headers)

    request = site.request("GET", URL("http://site.test/"), "/", own=True, body=False)

    assert (request.body, b"ontent-" in request.head.replace(b"X-Content: a", b"")) == (b"", False)
    assert b"X-Content: a" in request.head


@pytest.mark.parametrize(
    "location", ["http:///page", " \x12http:///page", "https:?page", "ftp://site.test/", "http://["]
)
def test_a_redirect_must_lead_to_a_host(location: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        redirected(configured().first, 302, location)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("http:page", "http://site.test/page"),
        ("ht\ntp:page", "http://site.test/page"),
        (" \x12http://other.test/page", "http://other.test/page"),
    ],
)
def test_a_redirect_leads_where_browsers_go(location: str, url: str) -> None:
    leads_to = redirected(configured().first, 302, location)

    assert leads_to == ("GET", URL(url), "/page", True)


AS_WRITTEN = [
    ("/a%2Fb%7Ec%3a", "/a%2Fb%7Ec%3a"),
    ("/?sig=%2F%3A%7E%3d&a=1+2", "/?sig=%2F%3A%7E%3d&a=1+2"),
    ("/page?", "/page?"),
    ("?", "/?"),
    ("", "/"),
    ("?a=b?c", "/?a=b?c"),
    ("/a//b/./c/../d", "/a//b/./c/../d"),
    ("/page?#there", "/page?"),
    ("/it's(1)*!$&,;=:@[2]", "/it's(1)*!$&,;=:@[2]"),
    # What no URL may contain is encoded.
    ("/grüße?q=日", "/gr%C3%BC%C3%9Fe?q=%E6%97%A5"),
    ('/a"b<c>d|e^f`g{h}i\\j', "/a%22b%3Cc%3Ed%7Ce%5Ef%60g%7Bh%7Di%5Cj"),
    ("/100%", "/100%25"),
    ("/%zz%4", "/%25zz%254"),
]


@pytest.mark.parametrize(("written", "sent"), AS_WRITTEN)
def test_a_url_is_sent_as_it_is_written(written: str, sent: str) -> None:
    plain = configured(f"http://me:pass@site.test{written}").first
    by_proxy = configured(f"http://me:pass@site.test{written}", proxy=SecretStr("http://proxy.test:1")).first

    assert plain.head.startswith(f"GET {sent} HTTP/1.1\r\n".encode())
    assert by_proxy.head.startswith(f"GET http://site.test{sent} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize(("written", "sent"), [*AS_WRITTEN, ("/a b", "/a%20b"), ("/\udcfc", "/%FC")])
def test_so_is_that_of_a_redirect(written: str, sent: str) -> None:
    for place in ("http://me:pass@other.test", "//other.test", "https://other.test"):
        leads_to = redirected(configured().first, 302, place + written)
        assert leads_to is not None
        assert (leads_to.url.host, leads_to.target) == ("other.test", sent)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/x%7Ey?", "/x%7Ey?"),
        ("c%7E?d=%2F", "/a%2Fb/c%7E?d=%2F"),
        ("../c", "/c"),
        ("../../c", "/c"),
        ("./c/../d?", "/a%2Fb/d?"),
        (".", "/a%2Fb/"),
        ("?x", "/a%2Fb/page?x"),
        ("?", "/a%2Fb/page?"),
        ("#there", "/a%2Fb/page?old=%3A"),
        ("http:c d", "/a%2Fb/c%20d"),
        (" \t/c\n", "/c"),
        ("c;v=1", "/a%2Fb/c;v=1"),
        ("//site.test", "/"),
    ],
)
def test_a_relative_redirect_keeps_what_is_written(location: str, target: str) -> None:
    leads_to = redirected(configured("http://site.test/a%2Fb/page?old=%3A").first, 302, location)

    assert leads_to is not None
    assert (leads_to.url.host, leads_to.target) == ("site.test", target)


async def test_an_unused_connection_is_kept_for_two_minutes(serve: Serve) -> None:
    monitor = Monitor(name="site", url=serve(answer(ok(b"hello"), then="hang")), reuse_connection=True)
    now = asyncio.get_running_loop().time()
    async with Network(1) as network:
        probe = Probe(monitor, "here", network)
        await probe.check(1_000.0)
        (wire,) = probe._exchange._kept.values()
        closing = wire._closing
        await probe.close()

    assert closing is not None
    assert closing.when() >= now + 120


def test_no_cookie_adds_a_header() -> None:
    cookies = SimpleCookie("a=1")
    cookies["a"].set("a", "1", "1\r\nEvil: yes")

    with pytest.raises(ValueError, match="line end"):
        configured().request("GET", URL("http://site.test/"), "/", cookies, own=True)


def test_nothing_of_the_sites_is_in_what_a_proxy_gets() -> None:
    request = configured(
        "https://bücher.test/?token=s3cret",
        proxy=SecretStr("http://user:secret@proxy.test:3128"),
        headers={"X-Api-Key": SecretStr("s3cret"), "Cookie": SecretStr("s3cret")},
        bearer_token=SecretStr("s3cret"),
    ).first

    assert request.proxy
    assert tunnel_to(request, request.proxy).head == (
        b"CONNECT xn--bcher-kva.test:443 HTTP/1.1\r\nHost: xn--bcher-kva.test:443\r\n"
        b"User-Agent: website-health-monitor/0.1\r\nProxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n\r\n"
    )


async def test_credentials_in_a_redirect_are_sent_where_none_are_configured(
    serve: Serve, check: Check
) -> None:
    requests: list[bytes] = []
    elsewhere = serve(noting(requests, lambda request: ok() if b"/in" in request else redirect("/in")))

    result = await check(serve(answer(redirect(elsewhere.replace("//", "//me:pass@")))))

    assert (result.up, result.redirects) == (True, 2)
    assert [b"Authorization: Basic bWU6cGFzcw==" in each for each in requests] == [True, True]


async def test_a_redirect_without_a_place_is_an_answer(serve: Serve, check: Check) -> None:
    result = await check(serve(answer(b"HTTP/1.1 302 Found\r\nContent-Length: 2\r\n\r\nhi")))

    assert (result.up, result.response_status, result.response_data, result.redirects) == (True, 302, "hi", 0)


async def test_a_name_that_tls_cannot_ask_for_cannot_be_used(serve: Serve, check: Check) -> None:
    place = f"https://{'a' * 64}.test/"
    requests: list[bytes] = []
    proxy = serve(
        noting(
            requests,
            lambda request: b"HTTP/1.1 200 OK\r\n\r\n" if b"CONNECT" in request else redirect(place),
        )
    )

    result = await check("http://site.test/", proxy=proxy)

    assert (result.reason, result.detail) == (
        Reason.PROTOCOL_ERROR,
        "the redirect leads to an address that cannot be used",
    )


async def test_a_connection_that_is_lost_before_the_handshake_is_a_tls_error() -> None:
    with pytest.raises(Failed, match="the TLS handshake failed: the connection was closed"):
        await begin_tls(Wire(asyncio.get_running_loop()), trusting(), "site.test", Timing())


@pytest.mark.parametrize(("targets", "is_up"), [(("127.0.0.1/32",), False), (("*",), True)])
async def test_no_redirect_leads_away_from_what_may_be_probed(
    serve: Serve, targets: tuple[str, ...], is_up: bool
) -> None:
    elsewhere: list[bytes] = []
    other = serve(noting(elsewhere, lambda _: ok())).replace("127.0.0.1", "localhost")
    url = serve(answer(redirect(f"{other}/")))

    async with Network(4) as network:
        target = Target(name="target", url=url, targets=targets)
        result = await Probe(target, "here", network).check(1000.0)

    assert (result.up, len(elsewhere)) == (is_up, int(is_up))
    assert is_up or (result.reason, result.detail) == (
        "blocked_address",
        "a redirect to localhost, which is no probe target",
    )
