"""What a redirect to another origin does not get."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.sites import Authority, Check, Script, Serve, answer, ok, read_request, redirect

SECRETS = {
    "Authorization": "Basic s3cret",
    "Cookie": "session=s3cret",
    "Proxy-Authorization": "Basic s3cret",
    "X-Api-Key": "s3cret",
    "Content-Type": "application/s3cret",
    "Host": "s3cret.test",
}
HARMLESS = {"Accept": "text/plain", "Accept-Language": "fr", "User-Agent": "mine/1"}


def whole_request(connection: Any) -> bytes:
    request = read_request(connection)
    headers, _, body = request.partition(b"\r\n\r\n")
    if b"Content-Length: " in headers:
        length = int(headers.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
        while len(body) < length:
            body += connection.recv(65536)
    return headers + b"\r\n\r\n" + body


def noting(requests: list[bytes], reply: Callable[[bytes], bytes]) -> Script:
    def script(connection: Any, _: Any) -> None:
        requests.append(whole_request(connection))
        connection.sendall(reply(requests[-1]))

    return script


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_another_origin_gets_no_secret(status: int, serve: Serve, check: Check) -> None:
    requests: list[bytes] = []
    elsewhere = serve(noting(requests, lambda _: ok(b"elsewhere")))

    result = await check(
        serve(noting(requests, lambda _: redirect(elsewhere, status=status))),
        method="POST",
        headers=SECRETS | HARMLESS,
        body="s3cret body",
    )

    assert result.response_data == "elsewhere"
    first, second = requests
    assert first.count(b"s3cret") == len(SECRETS) + 1
    assert b"s3cret" not in second
    assert all(f"{name}: {value}".encode() in second for name, value in HARMLESS.items())
    assert second.count(b"Host: 127.0.0.1:") == 1
    kept = status in (307, 308)
    assert second.startswith(b"POST " if kept else b"GET ")
    assert (b"Content-Length: 0" in second) == kept


async def test_the_own_origin_gets_everything_again(serve: Serve, check: Check) -> None:
    requests: list[bytes] = []
    url = serve(
        noting(requests, lambda request: ok() if b"/two" in request else redirect("/two", status=307))
    )

    await check(url, method="POST", headers=SECRETS, body="s3cret body")

    assert [each.count(b"s3cret") for each in requests] == [len(SECRETS) + 1] * 2


async def test_the_way_back_to_the_own_origin_carries_no_secret_either(serve: Serve, check: Check) -> None:
    requests: list[bytes] = []
    places: list[str] = []

    def reply(request: bytes) -> bytes:
        return ok(b"back") if b"/delete-all" in request else redirect(places[1], status=307)

    places.append(serve(noting(requests, reply)))
    places.append(serve(noting(requests, lambda _: redirect(places[0] + "/delete-all", status=307))))

    result = await check(places[0], method="POST", headers=SECRETS, body="s3cret body")

    assert (result.response_data, result.redirects) == ("back", 2)
    assert [b"s3cret" in each for each in requests] == [True, False, False]


async def test_another_scheme_is_another_origin(serve: Serve, check: Check, authority: Authority) -> None:
    requests: list[bytes] = []
    plain = serve(noting(requests, lambda _: ok(b"plain")))

    result = await check(
        serve(answer(redirect(plain, status=307)), authority.server("127.0.0.1")),
        ca_file=authority.file,
        headers={"X-Api-Key": "s3cret"},
    )

    assert result.response_data == "plain"
    assert b"s3cret" not in requests[0]


async def test_another_origin_gets_no_client_certificate(
    serve: Serve, check: Check, authority: Authority, tmp_path: Path
) -> None:
    certificate = authority.ca.issue_cert("client@example.test")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
    shown: list[bool] = []

    def script(reply: bytes) -> Script:
        def look(connection: Any, _: Any) -> None:
            shown.append(connection.getpeercert(binary_form=True) is not None)
            read_request(connection)
            connection.sendall(reply)

        return look

    def asking() -> ssl.SSLContext:
        context = authority.server("127.0.0.1")
        authority.ca.configure_trust(context)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    elsewhere = serve(script(ok(b"elsewhere")), asking())

    result = await check(
        serve(script(redirect(elsewhere, status=307)), asking()),
        ca_file=authority.file,
        client_cert=tmp_path / "client.pem",
    )

    assert result.response_data == "elsewhere"
    assert shown == [True, False]
