"""Parts of the network in the configuration, as they are taken."""

import pytest

from monitor.config.addresses import is_target
from monitor.config.model import Config, Monitor


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("9.9.9.9", "9.9.9.9:53"),
        ("9.9.9.9:", "9.9.9.9:53"),
        ("9.9.9.9:5353", "9.9.9.9:5353"),
        ("[2620:fe::fe]", "[2620:fe::fe]:53"),
        ("[2620:fe::fe]:5353", "[2620:fe::fe]:5353"),
    ],
)
def test_a_dns_server_has_port_53_unless_another_is_named(written: str, taken: str) -> None:
    assert Monitor(name="a", url="http://a.test/", resolver=written).resolver == (taken,)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("private", "private"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.1", "10.0.0.1/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("fe80::/10", "fe80::/10"),
    ],
)
def test_what_is_denied_is_written_in_one_way(written: str, taken: str) -> None:
    assert Monitor(name="a", url="http://a.test/", deny_addresses=written).deny_addresses == (taken,)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "hosts", "others"),
    [
        ("shop.example", ["shop.example", "SHOP.example."], ["a.shop.example", "myshop.example", "10.0.0.1"]),
        ("*.Shop.example", ["a.shop.example", "a.b.shop.example"], ["shop.example", "ashop.example"]),
        ("bücher.example", ["xn--bcher-kva.example"], ["bucher.example"]),
        ("*.bücher.example.", ["a.xn--bcher-kva.example"], ["xn--bcher-kva.example"]),
        ("straße.example", ["xn--strae-oqa.example"], ["strasse.example"]),
        ("10.0.0.0/8", ["10.1.2.3", "::ffff:10.1.2.3"], ["11.0.0.1", "10.example", "fd00::1", ""]),
        ("10.0.0.1", ["10.0.0.1"], ["10.0.0.2", "10.0.0.1.example"]),
        ("fd00::/8", ["fd00::1"], ["fe80::1", "10.0.0.1"]),
        ("*", ["shop.example", "10.0.0.1", "fd00::1"], []),
    ],
)
def test_what_may_be_probed_is_a_host_a_domain_a_network_or_everything(
    written: str, hosts: list[str], others: list[str]
) -> None:
    targets = Config(monitors=(), probe_targets=written).probe_targets  # type: ignore[arg-type]

    assert {host: is_target(host, targets) for host in hosts} == dict.fromkeys(hosts, True)
    assert {host: is_target(host, targets) for host in others} == dict.fromkeys(others, False)
    assert not any(is_target(host, ()) for host in hosts)


@pytest.mark.parametrize(
    "target", ["1.1.1.1:53", "[2620:fe::fe]:53", "dns.example:53", "https://a.example/up"]
)
def test_own_connectivity_is_checked_by_a_connection_or_a_request(target: str) -> None:
    assert Config(monitors=(), connectivity_check=target).connectivity_check == target
