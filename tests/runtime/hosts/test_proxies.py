"""Proxies that the environment names, and hosts without one."""

import pytest

from monitor.runtime.hosts.proxies import WithoutProxy, no_proxy_of, proxies_of


@pytest.mark.parametrize(
    ("environ", "proxies"),
    [
        ({}, {}),
        ({"HTTP_PROXY": "http://a.test:1"}, {"http": "http://a.test:1"}),
        ({"http_proxy": "http://b.test:1", "HTTP_PROXY": "http://a.test:1"}, {"http": "http://b.test:1"}),
        ({"https_proxy": "", "HTTPS_PROXY": "http://a.test:1"}, {}),
        ({"https_proxy": "a.test:3128", "ALL_PROXY": "b.test"}, {"https": "http://a.test:3128"}),
    ],
)
def test_the_environment_names_a_proxy_by_scheme(environ: dict[str, str], proxies: dict[str, str]) -> None:
    assert proxies_of(environ) == proxies


def test_the_environment_lists_hosts_without_a_proxy_with_commas() -> None:
    assert no_proxy_of({"NO_PROXY": "a.test, .b.test,,10.0.0.0/8 "}) == ["a.test", ".b.test", "10.0.0.0/8"]
    assert no_proxy_of({"no_proxy": "", "NO_PROXY": "a.test"}) == []


@pytest.mark.parametrize(
    ("written", "host", "port", "found"),
    [
        ("a.test", "a.test", 80, True),
        ("a.test", "A.Test.", 80, True),
        ("a.test", "b.a.test", 80, True),
        ("a.test", "ba.test", 80, False),
        (".a.test", "a.test", 80, True),
        ("*.a.test", "b.a.test", 80, True),
        ("a.test:8080", "a.test", 8080, True),
        ("a.test:8080", "a.test", 80, False),
        ("*", "a.test", 80, True),
        ("*", "10.0.0.1", 80, True),
        (".", "a.test", 80, False),
        ("10.0.0.1", "10.0.0.1", 80, True),
        ("10.0.0.1:81", "10.0.0.1", 80, False),
        ("10.0.0.0/8", "10.1.2.3", 80, True),
        ("10.0.0.1/8", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "11.1.2.3", 80, False),
        ("10.0.0.0/8", "a.test", 80, False),
        ("::1", "::1", 80, True),
        ("[::1]", "::1", 80, True),
        ("[::1]:81", "::1", 81, True),
        ("[::1]:81", "::1", 80, False),
        ("::1", "10.0.0.1", 80, False),
    ],
)
def test_a_host_without_a_proxy_stands_for_those_below_it(
    written: str, host: str, port: int, found: bool
) -> None:
    assert WithoutProxy(["other.test", written]).has(host, port) is found
