"""Addresses that a check must not connect to: in each form, and whatever leads to them."""

import ipaddress
import socket
from itertools import chain, repeat
from typing import Any

import pytest

from monitor.probe.addresses import Denied
from monitor.probe.exchange.connector import Network
from monitor.result import Reason
from tests.dns_server import Reply, StartDns, responding_with
from tests.sites import Check, Script, Serve, answer, ok, read_request, redirect


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


@pytest.mark.parametrize("denied", ["127.0.0.0/8", "127.0.0.1", "::1"])
@pytest.mark.parametrize(
    "address",
    ["0.0.0.0", "::", "::ffff:0.0.0.0", "::ffff:0:0.0.0.0", "64:ff9b::0.0.0.0", "2002::"],  # noqa: S104
)
def test_an_address_that_the_system_connects_to_itself_is_loopback(address: str, denied: str) -> None:
    assert Denied([denied]).denies(address)


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "[::ffff:0.0.0.0]"])  # noqa: S104
async def test_a_site_behind_denied_loopback_is_not_reached_by_another_name(
    host: str, serve: Serve, check: Check
) -> None:
    asked: list[bytes] = []

    def script(connection: socket.socket, _: object) -> None:
        asked.append(read_request(connection))
        connection.sendall(ok())

    url = serve(script, host=host)

    open_to_it = await check(url)
    result = await check(url, deny_addresses=["127.0.0.0/8"])

    assert open_to_it.up or ":" in host  # this machine may have no IPv6
    assert (result.reason, len(asked)) == (Reason.BLOCKED_ADDRESS, int(open_to_it.up or 0))


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
    assert [bool(Denied(written)) for written in ([], ["private"], ["10.0.0.0/8"])] == [False, True, True]


def finds(*addresses: str) -> Any:
    def getaddrinfo(*_: Any, **__: Any) -> Any:
        return [(socket.AF_INET, 1, 6, "", (each, 0)) for each in addresses]

    return getaddrinfo


def noting(connections: list[bytes], *replies: bytes) -> Script:
    """Send one of the replies to each connection, in order, and the last one to all that follow."""
    rest = chain(replies, repeat(replies[-1]))

    def script(connection: Any, _: Any) -> None:
        connections.append(read_request(connection))
        connection.sendall(next(rest))

    return script


async def test_by_default_a_check_connects_to_any_address(serve: Serve, check: Check) -> None:
    assert (await check(serve(answer(ok())))).up


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]", "localhost"])  # noqa: S104
async def test_a_denied_address_is_not_connected_to(host: str, serve: Serve, check: Check) -> None:
    connections: list[bytes] = []
    url = serve(noting(connections, ok()), host=host)

    result = await check(url, deny_addresses=["private"])

    assert result.reason == Reason.BLOCKED_ADDRESS
    assert result.detail is not None
    assert result.detail.endswith(" must not be connected to")
    assert (result.ip, result.phases.connect, result.response_status) == (None, None, None)
    assert not connections


async def test_the_detail_names_the_addresses(check: Check) -> None:
    async with Network(1, finds("10.0.0.1", "169.254.169.254")) as network:
        result = await check("http://a.test/", of=network, deny_addresses="private")

    assert result.detail == "10.0.0.1, 169.254.169.254 must not be connected to"


async def test_another_way_to_write_an_address_is_no_way_round(check: Check) -> None:
    for host in ("2130706433", "0x7f000001", "127.1", "0177.0.0.1"):
        result = await check(f"http://{host}:9/", deny_addresses=["127.0.0.0/8"])

        assert result.reason in (Reason.PROTOCOL_ERROR, Reason.BLOCKED_ADDRESS, Reason.DNS_NOT_FOUND)


async def test_of_several_addresses_those_are_tried_that_are_not_denied(serve: Serve, check: Check) -> None:
    url = serve(answer(ok()), host="a.test")
    async with Network(1, finds("127.0.0.2", "127.0.0.1")) as network:
        result = await check(url, of=network, deny_addresses=["127.0.0.2/32"])

    assert (result.up, result.ip) == (True, "127.0.0.1")


async def test_a_redirect_to_a_denied_address_is_not_followed(serve: Serve, check: Check) -> None:
    connections: list[bytes] = []
    inside = serve(noting(connections, ok()), host="[::ffff:127.0.0.1]")

    result = await check(serve(answer(redirect(inside))), deny_addresses=["::1", "::ffff:127.0.0.1/128"])

    assert result.reason == Reason.BLOCKED_ADDRESS
    assert not connections


async def test_a_redirect_to_a_denied_name_is_not_followed(serve: Serve, check: Check) -> None:
    connections: list[bytes] = []
    inside = serve(noting(connections, ok()), host="inside.test")
    outside = serve(answer(redirect(inside)), host="127.0.0.1")
    async with Network(1, finds("127.0.0.2")) as network:
        result = await check(outside, of=network, deny_addresses=["127.0.0.2"])

    assert (result.reason, result.redirects) == (Reason.BLOCKED_ADDRESS, 1)
    assert result.detail == "127.0.0.2 must not be connected to"
    assert not connections


async def test_a_name_that_changes_its_address_between_hops_is_found_out(
    start_dns: StartDns, serve: Serve, check: Check
) -> None:
    found = {"A": ["127.0.0.1", "127.0.0.2"], "AAAA": ["::1", "::1"]}

    def respond(question: Any) -> Reply:
        return responding_with(found[question.question[0].to_text().split()[-1]].pop(0))(question)

    connections: list[bytes] = []
    url = serve(noting(connections, redirect("/again"), ok()), host="rebinding.test")

    result = await check(url, resolver=start_dns(respond).address, deny_addresses=["::1", "127.0.0.2"])

    assert (result.reason, result.detail) == (
        Reason.BLOCKED_ADDRESS,
        "::1, 127.0.0.2 must not be connected to",
    )
    assert len(connections) == 1


async def test_the_address_of_a_proxy_is_what_is_connected_to(serve: Serve, check: Check) -> None:
    proxy = serve(answer(ok(b"by proxy")))

    by_proxy = await check("http://10.0.0.1/", proxy=proxy, deny_addresses=["10.0.0.0/8"])
    without = await check("http://10.0.0.1/", proxy=proxy, deny_addresses=["127.0.0.0/8"])

    assert by_proxy.up
    assert without.reason == Reason.BLOCKED_ADDRESS
