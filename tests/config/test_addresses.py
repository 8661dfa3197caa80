"""Parts of the network in the configuration, as they are taken."""

import pytest

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
    "target", ["1.1.1.1:53", "[2620:fe::fe]:53", "dns.example:53", "https://a.example/up"]
)
def test_own_connectivity_is_checked_by_a_connection_or_a_request(target: str) -> None:
    assert Config(monitors=(), connectivity_check=target).connectivity_check == target
