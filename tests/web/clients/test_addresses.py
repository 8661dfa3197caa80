"""Which client a request comes from."""

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from monitor.web.clients.addresses import Clients

PROXIES = ("10.0.0.0/8", "2001:db8:aaaa::/48", "127.0.0.1")


def client(peer: str | None, *forwarded: str, trusted: tuple[str, ...] = PROXIES) -> str:
    headers = CIMultiDict([("X-Forwarded-For", each) for each in forwarded])
    request = make_mocked_request("GET", "/", headers=headers).clone(remote=peer or "")
    return Clients(trusted).of(request)


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.1", (), "192.0.2.1"),
        ("192.0.2.1", ("198.51.100.1",), "192.0.2.1"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", ("198.51.100.1, 198.51.100.2",), "198.51.100.2"),
        ("10.0.0.1", ("198.51.100.1", "198.51.100.2"), "198.51.100.2"),
        ("10.0.0.1", ("198.51.100.1, 198.51.100.2, 10.9.9.9, 127.0.0.1",), "198.51.100.2"),
        ("10.0.0.1", ("10.0.0.7, 10.0.0.8",), "10.0.0.7"),
        ("10.0.0.1", ("198.51.100.1, unknown",), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.1, unknown, 10.0.0.2",), "10.0.0.2"),
        ("10.0.0.1", ("",), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.1:4711",), "198.51.100.1"),
        ("10.0.0.1", ("[2001:db8::5]:4711",), "2001:db8::/64"),
        ("::ffff:10.0.0.1", ("::ffff:198.51.100.1",), "198.51.100.1"),
        ("2001:db8:aaaa::1", ("2001:db8:1:2:3:4:5:6",), "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", (), "2001:db8:1:2::/64"),
        ("fe80::1%eth0", (), "fe80::/64"),
        (None, ("198.51.100.1",), ""),
    ],
)
def test_the_client_is_the_last_address_that_no_trusted_proxy_has(
    peer: str, forwarded: tuple[str, ...], expected: str
) -> None:
    assert client(peer, *forwarded) == expected


def test_without_trusted_proxies_nobody_is_believed() -> None:
    assert client("127.0.0.1", "198.51.100.1", trusted=()) == "127.0.0.1"


def test_a_long_list_is_not_read_to_its_beginning() -> None:
    assert client("10.0.0.1", "198.51.100.1," + "10.0.0.2," * 100 + "10.0.0.3") == "10.0.0.2"


def test_a_connection_of_a_trusted_proxy_is_that_of_many_clients() -> None:
    clients = Clients(PROXIES)

    assert clients.of_peer("10.1.2.3") == ("10.1.2.3", True)
    assert clients.of_peer("192.0.2.1") == ("192.0.2.1", False)
