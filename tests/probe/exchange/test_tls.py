"""What a check records of a site's TLS, and what is read from a certificate."""

import os
import socket
import ssl
import warnings
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import trustme

from monitor.config.model import Monitor
from monitor.probe.exchange.connector import Network
from monitor.probe.exchange.tls import (
    SeenTls,
    certificates_in,
    earliest_expiry,
    expires_at,
    names_of,
    presented_by_refused,
    seen_of_refused,
)
from monitor.probe.probe import Probe
from monitor.result import Certificate, OwnTroubleError, Reason, Tls
from tests.certificates import DAY, NOW, issue
from tests.sites import Authority, Check, Serve, answer, hang, ok, redirect, tunnel


def self_signed() -> ssl.SSLContext:
    alone = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    alone.create_child_ca()
    pem = alone.private_key_pem.bytes() + alone.cert_pem.bytes()
    with trustme.Blob(pem).tempfile() as file:
        context.load_cert_chain(file)
    return context


async def test_the_expiry_of_a_good_certificate_is_recorded(
    serve: Serve, check: Check, authority: Authority
) -> None:
    url = serve(answer(ok(b"hello")), authority.server("127.0.0.1", not_after=NOW + 30 * DAY))

    result = await check(url, ca_file=authority.file)

    assert (result.up, result.response_data) == (True, "hello")
    assert result.certificate_expires_at == (NOW + 30 * DAY).timestamp()
    assert result.phases.tls is not None
    assert result.phases.tls > 0


@pytest.mark.parametrize(
    ("names", "validity", "reason", "words"),
    [
        (
            ["127.0.0.1"],
            {"not_before": NOW - 9 * DAY, "not_after": NOW - DAY},
            Reason.TLS_EXPIRED,
            "has expired",
        ),
        (
            ["127.0.0.1"],
            {"not_before": NOW + DAY, "not_after": NOW + 9 * DAY},
            Reason.TLS_UNTRUSTED,
            "not yet valid",
        ),
        (["10.0.0.1"], {}, Reason.TLS_HOSTNAME, "IP address mismatch"),
        (["other.test"], {}, Reason.TLS_HOSTNAME, "mismatch"),
    ],
)
async def test_a_certificate_is_refused(
    names: list[str],
    validity: dict[str, Any],
    reason: Reason,
    words: str,
    serve: Serve,
    check: Check,
    authority: Authority,
) -> None:
    url = serve(answer(ok()), authority.server(*names, **validity))

    result = await check(url, ca_file=authority.file)

    assert result.reason == reason
    assert words in (result.detail or "")
    assert result.phases.tls is not None
    assert result.phases.processing is None
    assert result.ip == "127.0.0.1"


async def test_a_certificate_for_another_name_is_refused(
    serve: Serve, check: Check, authority: Authority
) -> None:
    url = serve(answer(ok()), authority.server("other.test"), host="localhost")

    assert (await check(url, ca_file=authority.file)).reason == Reason.TLS_HOSTNAME
    assert (await check(url, ca_file=authority.file, server_name="other.test")).up


async def test_a_self_signed_certificate_is_refused(serve: Serve, check: Check, authority: Authority) -> None:
    result = await check(serve(answer(ok()), self_signed()), ca_file=authority.file)

    assert result.reason == Reason.TLS_SELF_SIGNED


async def test_a_certificate_of_an_unknown_authority_is_refused(
    serve: Serve, check: Check, authority: Authority
) -> None:
    result = await check(serve(answer(ok()), authority.server("127.0.0.1")))

    assert result.reason == Reason.TLS_UNTRUSTED


async def test_any_certificate_will_do_without_verification(
    serve: Serve, check: Check, authority: Authority
) -> None:
    expired = authority.server("other.test", not_before=NOW - 9 * DAY, not_after=NOW - DAY)

    result = await check(serve(answer(ok()), expired), verify_tls=False)

    assert result.up
    assert result.certificate_expires_at == (NOW - DAY).timestamp()


def refuse_tls(connection: socket.socket, _: object) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def test_plain_http_on_the_port_of_tls_is_a_tls_error(serve: Serve, check: Check) -> None:
    result = await check(serve(refuse_tls).replace("http:", "https:"))

    assert result.reason == Reason.TLS_ERROR
    words = (result.detail or "").lower().replace("_", " ")
    # OpenSSL up to 3.1, and since.
    assert words.endswith((": wrong version number", ": record layer failure"))


def close_at_once(_: object, __: object) -> None:
    pass


async def test_a_connection_closed_in_the_handshake_is_a_tls_error(serve: Serve, check: Check) -> None:
    result = await check(serve(close_at_once).replace("http:", "https:"))

    assert (result.reason, result.detail) == (
        Reason.TLS_ERROR,
        "the TLS handshake failed: the connection was closed",
    )


async def test_a_handshake_that_does_not_end_is_a_tls_error(serve: Serve, check: Check) -> None:
    result = await check(serve(hang).replace("http:", "https:"), timeout_s=1)

    assert (result.reason, result.detail) == (
        Reason.TLS_ERROR,
        "the TLS handshake did not finish within 1 s",
    )


async def test_a_client_certificate_is_shown_to_a_site_that_wants_one(
    serve: Serve, check: Check, authority: Authority, tmp_path: Path
) -> None:
    wanting = authority.server("127.0.0.1")
    authority.ca.configure_trust(wanting)
    wanting.verify_mode = ssl.CERT_REQUIRED
    certificate = authority.ca.issue_cert("client@example.test")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    url = serve(answer(ok()), wanting)

    without = await check(url, ca_file=authority.file)
    with_one = await check(
        url, ca_file=authority.file, client_cert=tmp_path / "cert.pem", client_key=tmp_path / "key.pem"
    )

    assert without.reason == Reason.TLS_ERROR
    assert with_one.up


async def test_files_that_do_not_hold_a_certificate_are_no_result(check: Check, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()

    with pytest.raises(OwnTroubleError, match="the TLS files cannot be used"):
        await check("https://127.0.0.1/", client_cert=tmp_path / "empty.pem")


async def test_a_named_pipe_that_takes_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.touch()

    async with Network(1) as network:
        monitor = Monitor(name="site", url="https://127.0.0.1/", client_cert=key, client_key=key)
        probe = Probe(monitor, "here", network)
        key.unlink()
        os.mkfifo(key)
        with pytest.raises(OwnTroubleError, match=r"a named pipe, not a regular file: .*key\.pem"):
            await probe.check(1.0)
        await probe.close()


async def test_files_that_were_renewed_are_read_again(
    serve: Serve, authority: Authority, tmp_path: Path
) -> None:
    trusted = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(trusted)
    url = serve(answer(ok()), authority.server("127.0.0.1"))

    async with Network(1) as network:
        probe = Probe(Monitor(name="site", url=url, ca_file=trusted), "here", network)
        before = await probe.check(1.0)
        authority.ca.cert_pem.write_to_path(trusted)
        after = await probe.check(2.0)
        trusted.unlink()
        with pytest.raises(OwnTroubleError, match="No such file"):
            await probe.check(3.0)
        await probe.close()

    assert (before.reason, after.reason) == (Reason.TLS_UNTRUSTED, None)


async def test_a_proxy_leads_to_a_site_with_tls(serve: Serve, check: Check, authority: Authority) -> None:
    url = serve(answer(ok(b"hello")), authority.server("127.0.0.1"))
    requests: list[bytes] = []
    proxy = serve(tunnel(requests)).replace("//", "//user:secret@")

    result = await check(url, ca_file=authority.file, proxy=proxy)

    assert result.response_data == "hello"
    assert requests[0].startswith(b"CONNECT 127.0.0.1:")
    assert b"Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=" in requests[0]
    assert result.phases.connect is not None
    assert result.phases.tls is not None


@pytest.mark.parametrize("follow", ["http://other.test/next", "http://127.0.0.1/next"])
async def test_a_proxy_sees_no_secret_of_a_site_with_tls_nor_after_its_redirect(
    serve: Serve, check: Check, authority: Authority, follow: str
) -> None:
    url = serve(answer(redirect(follow, "Set-Cookie: session=s3cret; Secure")), authority.server("127.0.0.1"))
    requests: list[bytes] = []

    result = await check(
        f"{url}/?token=s3cret",
        ca_file=authority.file,
        proxy=serve(tunnel(requests)),
        bearer_token="s3cret",  # noqa: S106 - as the test's name says
        headers={"X-Api-Key": "s3cret", "Cookie": "a=s3cret"},
        method="PUT",
        body="s3cret",
    )

    assert (result.up, result.response_data, len(requests)) == (True, "by proxy", 2)
    assert requests[1].startswith(f"PUT {follow} ".encode())
    assert b"s3cret" not in b"".join(requests)


async def test_a_proxy_that_refuses_is_a_connect_error(serve: Serve, check: Check) -> None:
    proxy = serve(answer(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"))

    result = await check("https://127.0.0.1/", proxy=proxy)

    assert (result.reason, result.detail) == (Reason.CONNECT_ERROR, "the proxy answered 407 to CONNECT")


async def test_a_bad_certificate_behind_a_proxy_is_refused(
    serve: Serve, check: Check, authority: Authority
) -> None:
    url = serve(answer(ok()), authority.server("127.0.0.1"))

    result = await check(url, proxy=serve(tunnel([])))

    assert result.reason == Reason.TLS_UNTRUSTED


async def test_a_proxy_that_closes_the_connection_is_reported_so(serve: Serve, check: Check) -> None:
    result = await check("https://127.0.0.1/", proxy=serve(answer()))

    assert (result.reason, result.detail) == (
        Reason.DISCONNECTED,
        "the connection was closed before a response",
    )


def test_the_expiry_of_a_certificate_is_read() -> None:
    assert expires_at(issue("CN=a", days=9).der) == (NOW + 9 * DAY).timestamp()


def test_a_certificate_that_cannot_be_read_has_no_expiry() -> None:
    assert expires_at(b"no certificate") is None
    assert list(certificates_in([b""])) == [Certificate(sha256(b"").hexdigest())]
    assert seen_of_refused((b"",)) == SeenTls(
        None,
        Tls("", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "", "", "", "", None),
    )


def test_the_first_of_a_chain_to_expire_counts() -> None:
    chain = [issue("CN=a", days=days).der for days in (9, -5, 30)]

    assert earliest_expiry([*chain, b"no certificate"]) == (NOW - 5 * DAY).timestamp()
    assert earliest_expiry([]) is None


def test_a_certificate_without_names_has_no_alternatives() -> None:
    assert names_of(issue("CN=a,O=b").der)[:3] == ("CN=a,O=b", "CN=a,O=b", "")


@pytest.mark.parametrize(("serial", "digits"), [(0xAB, "ab"), (0xFAB, "0fab"), (1, "01")])
def test_a_serial_number_is_shown_in_whole_bytes(serial: int, digits: str) -> None:
    assert names_of(issue("CN=a", serial=serial).der)[3] == digits


def test_a_refusal_without_a_chain_shows_no_tls() -> None:
    assert presented_by_refused(ssl.SSLCertVerificationError()) == ()
    assert seen_of_refused(()) == SeenTls()


@pytest.mark.parametrize(
    ("part", "damaged"),
    [(b"shop.test", b"sh\xffp.test"), (b"shop name", b"sh\xffp name")],
)
def test_a_name_that_cannot_be_read_is_empty(part: bytes, damaged: bytes) -> None:
    der = issue("CN=shop name", None, "shop.test").der.replace(part, damaged)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert names_of(der)[0] == ""
    assert expires_at(der) is not None
