"""What `/probe` may be asked for, and how it is checked then."""

from typing import Any

import pytest
from aiohttp import web

from monitor.config.model import Config, Monitor, MonitorSettings, Target
from monitor.web.metrics.targets import Targets
from tests.web.visitor import configured

MODULES: dict[str, Any] = {
    "http_2xx": {"timeout_s": 3},
    "http_post": {"method": "POST", "headers": {"X-Key": "s3cret"}},
    "virtual": {"headers": {"host": "blog.example"}, "server_name": "tls.example"},
}
MONITORS: list[dict[str, Any]] = [
    {"name": "shop", "url": "https://shop.example/?key=s3cret", "headers": {"X-Own": "own"}},
    {"name": "blog", "url": "https://shop.example/blog", "headers": {"Host": "blog.example"}},
    {"name": "old", "url": "https://old.example/", "paused": True},
    {
        "name": "login",
        "url": "https://login.example/",
        "steps": [{"name": "log in", "url": "https://login.example/"}],
    },
]
OPEN = ["*.test", "10.0.0.0/8"]


def asked(config: Config | None = None, /, **query: str) -> tuple[Monitor, bool]:
    targets = Targets()
    targets.follow(config or configured(*MONITORS, modules=MODULES, probe_targets=OPEN))
    return targets.asked(query)


def refused(config: Config | None = None, /, **query: str) -> tuple[int, str]:
    with pytest.raises(web.HTTPClientError) as error:
        asked(config, **query)
    return error.value.status, (error.value.text or "").strip()


def headers(monitor: Monitor) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in monitor.headers.items()}


@pytest.mark.parametrize("target", ["shop", "https://shop.example/?key=***"])
def test_a_module_says_how_a_monitor_s_url_is_checked(target: str) -> None:
    monitor, by_module = asked(target=target, module="http_post")

    assert by_module
    assert (monitor.name, monitor.url) == ("shop", "https://shop.example/?key=s3cret")
    assert (monitor.method, headers(monitor)) == ("POST", {"X-Key": "s3cret"})
    assert monitor.may_lead_to("elsewhere.example")


def test_a_monitor_without_a_module_is_checked_as_it_is() -> None:
    monitor, by_module = asked(target="shop")

    assert (headers(monitor), by_module) == ({"X-Own": "own"}, False)


@pytest.mark.parametrize("module", ["", "http_2xx", "anything"])
def test_without_modules_the_parameter_means_nothing(module: str) -> None:
    config = configured(*MONITORS)

    assert asked(config, target="shop", module=module) == (config.monitors[0], False)
    assert refused(config, target="a.test", module=module) == (404, "no monitor has this name or URL")


@pytest.mark.parametrize("target", ["shop", "login", "a.test", "b.example"])
def test_a_module_that_is_not_there_is_refused(target: str) -> None:
    assert refused(target=target, module="http_3xx") == (400, "there is no module of this name")


def test_a_monitor_with_steps_is_checked_by_them() -> None:
    monitor, by_module = asked(target="login", module="http_post")

    assert (monitor.name, monitor.method, by_module) == ("login", "GET", False)


def test_a_module_of_this_name_is_the_default_for_what_is_no_monitor() -> None:
    other = configured(*MONITORS, modules={"http_post": {}}, probe_targets="*")

    assert asked(target="a.test")[0].timeout_s == 3
    assert refused(other, target="a.test") == (400, "there is no module of this name")


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("a.test", "http://a.test"),
        ("a.test:8080/x?u=https://b.example/", "http://a.test:8080/x?u=https://b.example/"),
        ("HTTPS://A.test/", "HTTPS://A.test/"),
        ("xn--a.test", "http://xn--a.test"),
        ("10.1.2.3:9090", "http://10.1.2.3:9090"),
        ("http://me:s3cret@a.test/", "http://me:s3cret@a.test/"),
    ],
)
def test_what_is_no_monitor_is_checked_where_that_is_allowed(target: str, url: str) -> None:
    monitor, by_module = asked(target=target, module="http_post")

    assert by_module
    assert (monitor.url, monitor.method) == (url, "POST")
    assert "s3cret" not in monitor.name
    assert not monitor.may_lead_to("b.example")
    assert monitor.may_lead_to("b.test")
    assert monitor.may_lead_to("10.0.0.1")


@pytest.mark.parametrize(
    "target",
    [
        "test",
        "b.example",
        "11.0.0.1",
        "http://a.test@b.example/",
        "http://b.example\\@c.example/.test",
        "http://b.example#.a.test",
        "http://b.example/?.a.test",
        "ftp://a.test/",
        "file:///etc/passwd",
        "http://",
        "http://a.test:99999/",
        "http://[::1/",
        "http://a.test /",
        "http://\u2100@a.test/",
        "10.1.2.3.nip.io",
        "0x0a.0.0.1",
        "167772161",
        "a.test" * 2_000,
    ],
)
def test_nothing_else_is_checked(target: str) -> None:
    assert refused(target=target, module="http_2xx")[0] == 404


def test_nothing_but_monitors_is_checked_unless_that_is_allowed() -> None:
    closed = configured(*MONITORS, modules=MODULES)

    assert refused(closed, target="a.test", module="http_2xx")[0] == 404
    assert asked(closed, target="shop", module="http_2xx")[0].timeout_s == 3


def test_a_hostname_is_a_virtual_host_in_http_and_in_tls() -> None:
    monitor, _ = asked(target="10.0.0.1", module="http_post", hostname="a.test:8443")

    assert headers(monitor) == {"X-Key": "s3cret", "Host": "a.test:8443"}
    assert monitor.server_name == "a.test"


@pytest.mark.parametrize("hostname", ["admin.example", "11.0.0.1"])
def test_a_hostname_that_nobody_may_ask_for_is_refused(hostname: str) -> None:
    assert refused(target="10.0.0.1", module="http_2xx", hostname=hostname)[0] == 404


@pytest.mark.parametrize(
    "hostname", ["a.test/", "a.test\r\nX: y", "a b", "user@a.test", "a.test:99999", "a\u200db.test"]
)
def test_a_hostname_that_is_none_is_refused(hostname: str) -> None:
    status, text = refused(target="10.0.0.1", module="http_2xx", hostname=hostname)

    assert (status, text.startswith("hostname: ")) == (400, True)


def test_a_monitor_that_sends_the_hostname_is_asked_for_it() -> None:
    monitor, _ = asked(target="https://shop.example/blog", module="http_post", hostname="blog.example")

    assert (monitor.name, headers(monitor)["Host"]) == ("blog", "blog.example")
    assert not isinstance(monitor, Target)


def test_another_virtual_host_of_a_monitor_is_not_asked_for() -> None:
    assert refused(target="shop", module="http_post", hostname="a.test")[0] == 404


def test_the_host_of_a_module_stays_unless_another_is_asked_for() -> None:
    monitor, _ = asked(target="10.0.0.1", module="virtual")
    same = asked(target="https://shop.example/blog", module="virtual", hostname="blog.example")[0]

    assert (headers(monitor), monitor.server_name) == ({"host": "blog.example"}, "tls.example")
    assert (headers(same), same.server_name) == ({"Host": "blog.example"}, "tls.example")
    assert refused(target="10.0.0.1", module="virtual", hostname="a.test") == (
        400,
        "the module sends another Host than hostname",
    )


def test_a_paused_monitor_stays_paused_with_a_module() -> None:
    modules = {"paused": MonitorSettings(paused=True), "http_2xx": MonitorSettings()}
    config = configured(*MONITORS, modules=modules, probe_targets="*")

    assert asked(config, target="old", module="http_2xx")[0].paused
    assert asked(config, target="shop", module="paused")[0].paused
    assert asked(config, target="a.test", module="paused")[0].paused
    assert not asked(config, target="shop", module="http_2xx")[0].paused
