"""Clients that try wrong tokens, and say that they are other clients."""

from collections.abc import Iterator

from tests.hostile.cases import Case, Client, Web
from tests.hostile.clients import FORM, get, request, statuses

PROXY = "127.0.0.2"
"""The only one that the program trusts."""
TRIES = 20  # twice as many as a client has in a minute

_FORGED = {
    "an address": "192.0.2.{}",
    "an address with a port": "192.0.2.{}:80",
    "a list": "192.0.2.{}, 192.0.2.99",
    "a list that ends in the proxy": f"192.0.2.{{}}, {PROXY}",
    "an IPv6 address": "2001:db8:{}::1",
    "IPv4 as IPv6": "::ffff:192.0.2.{}",
    "no address": "client-{}",
    "no ASCII": "\xff{}",
    "500 addresses": "192.0.2.{}" + ", 192.0.2.99" * 500,
}


def _got(web: Web, asked: bytes, source: str) -> int:
    """Return the status of the answer; 0 if there is none."""
    return next(iter(statuses(web.ask(asked, source))), 0)


def _wrong(*headers: str) -> bytes:
    return request("GET /metrics HTTP/1.1", "Authorization: Bearer wrong", *headers)


def _judged(got: list[int], first: int, right: int) -> str:
    """Return what is wrong, when wrong tokens got these answers, and then the right one got its own."""
    refused = set(got) <= {first, 429} and got[-1] == 429  # all are, when it is tried again
    return "" if refused and right == 200 else f"wrong tokens: {got}, the right one: {right}"


def tries(source: str, *forwarded: str) -> Client:
    """Try wrong tokens from this address, with these values of X-Forwarded-For, then the right one."""

    def client(web: Web) -> str:
        headers = [
            [f"X-Forwarded-For: {each.format(number)}" for each in forwarded] for number in range(TRIES)
        ]
        got = [_got(web, _wrong(*each), source) for each in headers]
        return _judged(got, 401, _got(web, get("/metrics", *headers[-1]), source))

    return client


def logins(web: Web) -> str:
    """Log in with wrong tokens."""
    source = "127.0.0.4"
    wrong = request("POST /login HTTP/1.1", FORM, body=b"token=wrong")
    got = [_got(web, wrong, source) for _ in range(TRIES)]
    return _judged(got, 403, _got(web, get("/metrics"), source))


def beside(web: Web) -> str:
    """Try wrong tokens through the trusted proxy, then one as another client of it."""
    wrong = tries(PROXY, "198.51.100.1")(web)
    other = _got(web, _wrong("X-Forwarded-For: 198.51.100.2"), PROXY)
    return wrong or ("" if other == 401 else f"another client: {other}")


def cases() -> Iterator[Case]:
    rows = {
        "20 wrong ones, then the right one": tries("127.0.0.1"),
        "20 wrong ones of a login, then the right one": logins,
        "beside another client of a trusted proxy": beside,
        "another client, forged, by a trusted proxy": tries(PROXY, "203.0.113.{}, 198.51.100.3"),
        "20 addresses of one IPv6 network": tries(PROXY, "2001:db8::{}"),
    }
    for number, (name, forged) in enumerate(_FORGED.items(), 10):
        rows[f"forged X-Forwarded-For: {name}"] = tries(f"127.0.0.{number}", forged)
    return (Case("token", name, client=client) for name, client in rows.items())
