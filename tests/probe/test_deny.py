"""Addresses that a check must not connect to, whatever leads there."""

import socket
from itertools import chain, repeat
from typing import Any

import pytest

from monitor.probe.connector import Network
from monitor.result import Reason
from tests.dns_server import Reply, StartDns, says
from tests.sites import Check, Script, Serve, answer, ok, read_request


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


def leads_to(place: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode()


async def test_by_default_nothing_is_denied(serve: Serve, check: Check) -> None:
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

    result = await check(serve(answer(leads_to(inside))), deny_addresses=["::1", "::ffff:127.0.0.1/128"])

    assert result.reason == Reason.BLOCKED_ADDRESS
    assert not connections


async def test_a_redirect_to_a_denied_name_is_not_followed(serve: Serve, check: Check) -> None:
    connections: list[bytes] = []
    inside = serve(noting(connections, ok()), host="inside.test")
    outside = serve(answer(leads_to(inside)), host="127.0.0.1")
    async with Network(1, finds("127.0.0.2")) as network:
        result = await check(outside, of=network, deny_addresses=["127.0.0.2"])

    assert (result.reason, result.redirects) == (Reason.BLOCKED_ADDRESS, 1)
    assert result.detail == "127.0.0.2 must not be connected to"
    assert not connections


async def test_a_name_that_changes_its_address_between_hops_is_found_out(
    start_dns: StartDns, serve: Serve, check: Check
) -> None:
    said = {"A": ["127.0.0.1", "127.0.0.2"], "AAAA": ["::1", "::1"]}

    def say(question: Any) -> Reply:
        return says(said[question.question[0].to_text().split()[-1]].pop(0))(question)

    connections: list[bytes] = []
    url = serve(noting(connections, leads_to("/again"), ok()), host="rebinding.test")

    result = await check(url, resolver=start_dns(say).address, deny_addresses=["::1", "127.0.0.2"])

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
