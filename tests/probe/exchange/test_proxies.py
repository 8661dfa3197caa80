"""Which proxy a request goes through."""

import pytest
from pydantic import SecretStr
from yarl import URL

from monitor.config.model import Monitor
from monitor.probe.exchange.connector import Network
from monitor.probe.exchange.request import Configured
from monitor.probe.probe import Probe
from monitor.result import CheckResult
from tests.sites import Authority, Check, Serve, answer, ok, redirect, tunnel

BOTH = {"HTTP_PROXY": "http://plain.test:1", "HTTPS_PROXY": "http://secure.test:2", "NO_PROXY": "c.test"}


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://a.test/", "plain.test"),
        ("https://a.test/", "secure.test"),
        ("http://b.test/", None),
        ("http://www.c.test/", None),
        ("https://c.test/", None),
    ],
)
def test_the_environment_has_a_proxy_for_each_scheme(url: str, proxy: str | None) -> None:
    monitor = Monitor(name="site", url=url, proxy="environment", no_proxy="b.test")  # type: ignore[arg-type]

    request = Configured(monitor, BOTH).first

    assert (request.proxy and request.proxy.place.host) == proxy


def test_an_environment_without_proxies_has_none() -> None:
    assert Configured(Monitor(name="site", url="http://a.test/", proxy="environment"), {}).first.proxy is None


def test_the_environment_does_not_change_the_proxy_of_a_monitor() -> None:
    monitor = Monitor(name="site", url="http://c.test/", proxy=SecretStr("http://own.test:3"))

    request = Configured(monitor, BOTH).first

    assert request.proxy
    assert request.proxy.place == ("own.test", 3)


def test_each_hop_has_the_proxy_of_its_host() -> None:
    monitor = Monitor(name="site", url="http://a.test/", proxy="environment")

    hop = Configured(monitor, BOTH).request("GET", URL("http://c.test/there"), "/there", own=False)

    assert (hop.proxy, hop.head.splitlines()[0]) == (None, b"GET /there HTTP/1.1")


async def test_a_redirect_to_a_host_without_a_proxy_is_followed_without_one(
    serve: Serve, check: Check
) -> None:
    site = serve(answer(ok(b"directly")))
    proxy = serve(answer(redirect(f"{site}/there")))

    result = await check("http://site.test/", proxy=proxy, no_proxy=["127.0.0.0/8"])

    assert (result.up, result.response_data, result.redirects) == (True, "directly", 1)


async def checked(url: str, environ: dict[str, str], **settings: object) -> CheckResult:
    monitor = Monitor(name="site", url=url, proxy="environment", **settings)  # type: ignore[arg-type]
    async with Network(1, environ=environ) as network:
        probe = Probe(monitor, "here", network)
        result = await probe.check(1.0)
        await probe.close()
    return result


async def test_a_check_goes_through_the_proxies_of_the_environment(
    serve: Serve, authority: Authority
) -> None:
    requests: list[bytes] = []
    proxy = serve(tunnel(requests)).replace("//", "//user:s3cret@")
    site = serve(answer(ok(b"encrypted")), authority.server("127.0.0.1"))

    plain = await checked("http://site.test/", {"HTTP_PROXY": proxy})
    encrypted = await checked(site, {"https_proxy": proxy}, ca_file=authority.file)

    assert (plain.response_data, encrypted.response_data) == ("by proxy", "encrypted")
    assert [each.split()[0] for each in requests] == [b"GET", b"CONNECT"]
    assert all(b"Proxy-Authorization: Basic dXNlcjpzM2NyZXQ=" in each for each in requests)


async def test_what_a_proxy_of_the_environment_gets_is_masked_where_it_comes_back(serve: Serve) -> None:
    proxy = serve(answer(ok(b"user:s3cret"))).replace("//", "//user:s3cret@")

    result = await checked("http://site.test/", {"http_proxy": proxy})

    assert "s3cret" not in result.response_data
