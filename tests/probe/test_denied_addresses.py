"""Addresses that a check must not connect to, in each form in which they can be written."""

import ipaddress

import pytest

from monitor.probe.addresses import Denied


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:a9fe:a9fe",
        "::ffff:0:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::8.8.8.8",
        "100::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%2",
        "fec0::1",
        "ff02::1",
    ],
)
def test_what_is_not_public_is_private(address: str) -> None:
    assert Denied(["private"]).denies(address)


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.1",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "198.17.255.255",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2001:4860:4860::8888",
        "2002:808:808::1",
        "2620:fe::fe",
    ],
)
def test_what_is_public_is_not_private(address: str) -> None:
    assert not Denied(["private"]).denies(address)


def test_all_that_python_knows_as_private_is_private() -> None:
    denied = Denied(["private"])
    networks = ipaddress.IPv4Address._constants._private_networks  # type: ignore[attr-defined]

    for each in networks:
        assert denied.denies(str(each[0]))
        assert denied.denies(str(each[-1]))


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3",
        "::ffff:10.1.2.3",
        "::10.1.2.3",
        "64:ff9b::10.1.2.3",
        "64:ff9b:1::10.1.2.3",
        "::ffff:0:10.1.2.3",
        "2002:a01:203::",
        "2001:0:a01:203::",  # Teredo's server
        "2001::f5fe:fdfc",  # Teredo's client, its bits inverted
    ],
)
@pytest.mark.parametrize("written", ["10.0.0.0/8", "10.1.2.3", "10.1.2.3/32", "::ffff:10.0.0.0/104"])
def test_a_network_is_denied_in_each_form_of_its_addresses(address: str, written: str) -> None:
    assert Denied([written]).denies(address)


def test_a_network_denies_nothing_else() -> None:
    denied = Denied(["10.0.0.0/8", "2001:4860::/32"])

    assert denied.denies("2001:4860:4860::8888")
    assert not denied.denies("127.0.0.1")
    assert not denied.denies("2620:fe::fe")


def test_by_default_nothing_is_denied() -> None:
    assert not Denied([]).denies("127.0.0.1")
