"""What is expected of TLS and of certificates: judged on real sites, on the last request."""

import asyncio
import re
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from monitor.config.expect import Expect
from monitor.probe.judging.expect import Response
from monitor.probe.judging.judge import Judge
from monitor.result import Reason, Tls
from tests.certificates import Certificate, issue, serving
from tests.probe.judging.test_expect import TLS
from tests.probe.test_probe import checks, keeping
from tests.sites import Check, Serve, answer, ok, redirect, tunnel


@pytest.fixture
def root(tmp_path: Path) -> Certificate:
    made = issue("CN=R3,O=Let's Check", authority=True)
    (tmp_path / "root.pem").write_bytes(made.pem)
    return made


@pytest.fixture
def encrypted(root: Certificate, tmp_path: Path) -> ssl.SSLContext:
    return serving(tmp_path, [issue("CN=shop", root, "127.0.0.1")])


@pytest.mark.parametrize(
    ("expected", "first", "last", "detail"),
    [
        ("required", None, "https", None),
        ("required", None, "http", "the last request was made without TLS, expected TLS"),
        ("required", "http", "https", None),
        ("required", "https", "http", "the last request was made without TLS, expected TLS"),
        ("forbidden", None, "http", None),
        ("forbidden", None, "https", "the last request was made with TLS 1.3, expected no TLS"),
        ("forbidden", "https", "http", None),
    ],
)
async def test_tls_is_required_or_forbidden_of_the_last_request(
    expected: str,
    first: str | None,
    last: str,
    detail: str | None,
    serve: Serve,
    check: Check,
    encrypted: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    tls = {"http": None, "https": encrypted}
    url = serve(answer(ok()), tls[last])
    if first is not None:
        url = serve(answer(redirect(url)), tls[first])

    result = await check(url, ca_file=tmp_path / "root.pem", expect={"tls": expected})

    assert (result.up, result.detail) == (detail is None, detail)
    assert result.reason == (detail and Reason.TLS_POLICY)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_behind_a_proxy_the_tls_of_the_site_counts(
    method: str, serve: Serve, check: Check, encrypted: ssl.SSLContext
) -> None:
    expect = {"tls": "required", "min_tls_version": "1.3"}
    settings = {"proxy": serve(tunnel([])), "verify_tls": False, "method": method, "expect": expect}

    secure = await check(serve(answer(ok()), encrypted), **settings)
    plain = await check(serve(answer(ok())), **settings)

    assert secure.up
    assert (plain.response_status, plain.reason) == (200, Reason.TLS_POLICY)


async def test_the_tls_of_a_kept_connection_counts(serve: Serve, encrypted: ssl.SSLContext) -> None:
    expect = {"tls": "required", "certificate_issuer": "R3"}
    url = serve(keeping([], 2), encrypted)

    fresh, kept = await checks(url, 2, verify_tls=False, reuse_connection=True, expect=expect)

    assert (fresh.up, kept.up, kept.phases.tls) == (True, True, None)


@pytest.mark.parametrize(
    ("minimum", "detail"),
    [("1.2", None), ("1.3", "TLS 1.2 was agreed on, expected at least TLS 1.3")],
)
async def test_the_version_that_was_agreed_on_counts(
    minimum: str, detail: str | None, serve: Serve, check: Check, encrypted: ssl.SSLContext
) -> None:
    encrypted.maximum_version = ssl.TLSVersion.TLSv1_2

    result = await check(
        serve(answer(ok()), encrypted), verify_tls=False, expect={"min_tls_version": minimum}
    )

    assert (result.detail, result.reason) == (detail, detail and Reason.TLS_POLICY)


@pytest.mark.parametrize("verify_tls", [True, False])
async def test_the_issuer_is_that_of_the_site_s_own_certificate(
    verify_tls: bool, serve: Serve, check: Check, root: Certificate, tmp_path: Path
) -> None:
    middle = issue("CN=E7,O=Let's Check", root, authority=True)
    url = serve(answer(ok()), serving(tmp_path, [issue("CN=shop", middle, "127.0.0.1"), middle]))
    settings: dict[str, Any] = {"ca_file": tmp_path / "root.pem", "verify_tls": verify_tls}

    own = await check(url, **settings, expect={"certificate_issuer": "^CN=E7,"})
    above = await check(url, **settings, expect={"certificate_issuer": "CN=R3"})

    assert own.up
    assert above.reason == Reason.TLS_POLICY
    assert above.detail == 'the certificate is by CN=E7,O=Let\'s Check, which does not match "CN=R3"'


@pytest.fixture
def alone(serve: Serve, tmp_path: Path) -> tuple[str, Certificate]:
    """Provide a site with a certificate that nobody else has signed."""
    certificate = issue("CN=shop")
    return serve(answer(ok()), serving(tmp_path, [certificate])), certificate


async def test_a_certificate_that_nobody_trusts_is_known_by_its_fingerprint(
    check: Check, alone: tuple[str, Certificate]
) -> None:
    url, certificate = alone
    digest = certificate.sha256
    with_colons = ":".join(re.findall("..", digest)).upper()

    for written in (digest, with_colons, ["0" * 64, with_colons]):
        assert (await check(url, verify_tls=False, expect={"certificate_sha256": written})).up
    other = await check(url, verify_tls=False, expect={"certificate_sha256": ["0" * 64, "1" * 64]})

    assert other.reason == Reason.TLS_POLICY
    assert other.detail == f"the certificate has another SHA-256 than expected: {digest}"


@pytest.mark.clients
@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
async def test_a_fingerprint_is_the_one_that_openssl_prints(
    check: Check, alone: tuple[str, Certificate]
) -> None:
    url, certificate = alone

    expect = {"certificate_sha256": printed_by_openssl(certificate)}

    assert (await check(url, verify_tls=False, expect=expect)).up


def printed_by_openssl(certificate: Certificate) -> str:
    asked = ["openssl", "x509", "-noout", "-fingerprint", "-sha256"]
    printed = subprocess.run(asked, input=certificate.pem, capture_output=True, check=True).stdout
    return printed.decode().strip().partition("=")[2]


async def judge(seen: Tls | None, **expect: Any) -> tuple[Reason, str] | None:
    return await Judge(Expect.model_validate(expect)).judge(Response(503, tls=seen))


async def test_what_is_expected_of_tls_fails_without_it_and_gives_the_reason() -> None:
    failure = await judge(
        None,
        tls="required",
        min_tls_version="1.2",
        certificate_issuer="R3",
        certificate_sha256="0" * 64,
    )

    assert failure is not None
    assert failure[0] == Reason.TLS_POLICY
    assert failure[1].split("; ") == [
        "the last request was made without TLS, expected TLS",
        "the last request was made without TLS, expected at least TLS 1.2",
        "the last request was made without TLS, so there is no issuer",
        "the last request was made without TLS, so there is no certificate",
        "status 503, expected 200-399",
    ]


async def test_an_issuer_that_cannot_be_read_matches_only_what_matches_nothing() -> None:
    unreadable = msgspec.structs.replace(TLS, issuer="")

    failure = await judge(unreadable, certificate_issuer="R3", status="5xx")

    assert failure == (
        Reason.TLS_POLICY,
        'the certificate is by an issuer that cannot be read, which does not match "R3"',
    )
    assert await judge(unreadable, certificate_issuer="^$", status="5xx") is None


async def test_a_long_issuer_is_judged_in_a_thread_where_the_pattern_is_long_too() -> None:
    seen = msgspec.structs.replace(TLS, issuer="O" * 1_000)

    judging = asyncio.ensure_future(judge(seen, certificate_issuer="(?:(?:O=.{9}){9}){9}"))
    await asyncio.sleep(0)

    assert not judging.done()
    failure = await judging
    assert failure is not None
    assert failure[0] == Reason.TLS_POLICY
