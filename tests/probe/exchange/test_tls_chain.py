"""What is recorded of the chain that a site presents, accepted or not."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from monitor.result import CheckResult, Reason
from tests.certificates import DAY, NOW, Certificate, issue, serving
from tests.sites import Check, Serve, answer, ok, redirect, tunnel


def ends(days: float) -> float:
    return (NOW + days * DAY).timestamp()


@dataclass(frozen=True)
class World:
    """An authority that monitors trust, and the folder of its files."""

    folder: Path
    root: Certificate

    def __post_init__(self) -> None:
        (self.folder / "root.pem").write_bytes(self.root.pem)

    @property
    def ca_file(self) -> Path:
        return self.folder / "root.pem"

    def serving(self, *chain: Certificate) -> ssl.SSLContext:
        return serving(self.folder, chain)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, issue("CN=root", authority=True, days=1_000))


@pytest.fixture(params=["TLSv1_2", "TLSv1_3"])
def version(request: pytest.FixtureRequest) -> ssl.TLSVersion:
    return ssl.TLSVersion[request.param]


async def test_what_was_agreed_and_presented_is_recorded(
    serve: Serve, check: Check, world: World, version: ssl.TLSVersion
) -> None:
    middle = issue("CN=middle", world.root, authority=True, days=40)
    site = issue("CN=shop,O=Shop & Co", middle, "127.0.0.1", "shop.test", "www.shop.test", days=60)
    tls = world.serving(site, middle)
    tls.maximum_version = version

    result = await check(serve(answer(ok()), tls), ca_file=world.ca_file)

    assert result.up
    assert result.certificate_expires_at == ends(40)
    assert result.tls is not None
    assert result.tls.version == {"TLSv1_2": "TLS 1.2", "TLSv1_3": "TLS 1.3"}[version.name]
    assert "AES" in result.tls.cipher or "CHACHA" in result.tls.cipher
    assert result.tls.sha256 == sha256(site.der).hexdigest()
    assert (result.tls.subject, result.tls.issuer) == ("CN=shop,O=Shop & Co", "CN=middle")
    assert result.tls.alternatives == "shop.test,www.shop.test"
    assert int(result.tls.serial_number, 16) == site.x509.serial_number
    assert result.tls.chain_expires_at == ends(40)


async def test_a_chain_is_read_once(serve: Serve, check: Check, world: World) -> None:
    url = serve(answer(ok()), world.serving(issue("CN=shop", world.root, "127.0.0.1")))

    first, second = [await check(url, ca_file=world.ca_file) for _ in range(2)]

    assert first.tls is not None
    assert first.tls is second.tls


async def test_a_certificate_presented_beside_the_chain_counts_as_presented_only(
    serve: Serve, check: Check, world: World
) -> None:
    """Like a cross-signed root that ended, which no client needs any more."""
    beside = issue("CN=old root", authority=True, days=-10)
    tls = world.serving(issue("CN=shop", world.root, "127.0.0.1"), beside)

    result = await check(serve(answer(ok()), tls), ca_file=world.ca_file)

    assert result.up
    assert result.certificate_expires_at == ends(-10)
    assert result.tls is not None
    assert result.tls.chain_expires_at == ends(90)


async def refused(
    serve: Serve, check: Check, world: World, *chain: Certificate, **settings: Any
) -> CheckResult:
    host = settings.pop("host", "127.0.0.1")
    url = serve(answer(ok()), world.serving(*chain), host=host)
    result = await check(url, ca_file=world.ca_file, **settings)
    assert not result.up
    assert result.tls is not None
    assert result.tls.chain_expires_at is None
    assert result.tls.version == result.tls.cipher == ""
    return result


async def test_an_expired_intermediate_is_expired(serve: Serve, check: Check, world: World) -> None:
    middle = issue("CN=middle", world.root, authority=True, days=-3)

    result = await refused(serve, check, world, issue("CN=shop", middle, "127.0.0.1"), middle)

    assert result.reason == Reason.TLS_EXPIRED
    assert result.certificate_expires_at == ends(-3)


async def test_a_missing_intermediate_is_untrusted(serve: Serve, check: Check, world: World) -> None:
    middle = issue("CN=middle", world.root, authority=True)

    result = await refused(serve, check, world, issue("CN=shop", middle, "127.0.0.1", days=20))

    assert result.reason == Reason.TLS_UNTRUSTED
    assert result.certificate_expires_at == ends(20)
    assert result.tls is not None
    assert (result.tls.subject, result.tls.issuer) == ("CN=shop", "CN=middle")


async def test_an_unknown_root_that_is_presented_is_untrusted(
    serve: Serve, check: Check, world: World
) -> None:
    other = issue("CN=other root", authority=True)

    result = await refused(serve, check, world, issue("CN=shop", other, "127.0.0.1"), other)

    assert result.reason == Reason.TLS_UNTRUSTED


@pytest.fixture
def as_on_python_3_13(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with the flags that a default context has there."""
    make = ssl.create_default_context

    def stricter(*, cafile: Path | None = None) -> ssl.SSLContext:
        context = make(cafile=cafile)
        context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
        return context

    monkeypatch.setattr(ssl, "create_default_context", stricter)


@pytest.mark.usefixtures("as_on_python_3_13")
async def test_an_intermediate_certificate_is_no_authority(serve: Serve, check: Check, world: World) -> None:
    middle = issue("CN=middle", world.root, authority=True)
    (world.folder / "middle.pem").write_bytes(middle.pem)
    url = serve(answer(ok()), world.serving(issue("CN=shop", middle, "127.0.0.1"), middle))

    result = await check(url, ca_file=world.folder / "middle.pem")

    assert result.reason == Reason.TLS_UNTRUSTED


@pytest.mark.usefixtures("as_on_python_3_13")
async def test_an_authority_that_does_not_say_what_its_key_is_for_is_trusted(
    serve: Serve, check: Check, world: World
) -> None:
    with pytest.raises(x509.ExtensionNotFound):
        world.root.x509.extensions.get_extension_for_class(x509.KeyUsage)

    result = await check(
        serve(answer(ok()), world.serving(issue("CN=shop", world.root, "127.0.0.1"))), ca_file=world.ca_file
    )

    assert result.up


async def test_a_certificate_that_signed_itself_is_self_signed(
    serve: Serve, check: Check, world: World
) -> None:
    result = await refused(serve, check, world, issue("CN=alone", None, "127.0.0.1", days=5))

    assert result.reason == Reason.TLS_SELF_SIGNED
    assert result.certificate_expires_at == ends(5)


async def test_an_expired_certificate_is_expired(
    serve: Serve, check: Check, world: World, version: ssl.TLSVersion
) -> None:
    tls = world.serving(issue("CN=shop", world.root, "127.0.0.1", days=-1))
    tls.maximum_version = version

    result = await check(serve(answer(ok()), tls), ca_file=world.ca_file)

    assert (result.reason, result.certificate_expires_at) == (Reason.TLS_EXPIRED, ends(-1))


async def test_a_chain_that_was_refused_behind_a_proxy_is_recorded(
    serve: Serve, check: Check, world: World
) -> None:
    proxy = serve(tunnel([]))

    result = await refused(
        serve, check, world, issue("CN=shop", world.root, "127.0.0.1", days=-1), proxy=proxy
    )

    assert (result.reason, result.certificate_expires_at) == (Reason.TLS_EXPIRED, ends(-1))


async def test_a_chain_is_recorded_where_nothing_is_verified(
    serve: Serve, check: Check, world: World
) -> None:
    middle = issue("CN=middle", issue("CN=other root", authority=True), authority=True, days=-3)
    url = serve(answer(ok()), world.serving(issue("CN=shop", middle, "other.test"), middle))

    result = await check(url, verify_tls=False)

    assert (result.up, result.certificate_expires_at) == (True, ends(-3))
    assert result.tls is not None
    assert (result.tls.subject, result.tls.chain_expires_at) == ("CN=shop", None)


@pytest.mark.parametrize(
    ("names", "server_name", "reason"),
    [
        (["*.shop.test"], "www.shop.test", None),
        (["*.shop.test"], "a.www.shop.test", Reason.TLS_HOSTNAME),
        (["*.shop.test"], "shop.test", Reason.TLS_HOSTNAME),
        (["127.0.0.1"], None, None),
        (["127.0.0.2"], None, Reason.TLS_HOSTNAME),
        (["localhost"], None, Reason.TLS_HOSTNAME),
        (["127.0.0.1"], "shop.test", Reason.TLS_HOSTNAME),
    ],
)
async def test_a_certificate_is_for_its_names(
    names: Sequence[str],
    server_name: str | None,
    reason: Reason | None,
    serve: Serve,
    check: Check,
    world: World,
) -> None:
    url = serve(answer(ok()), world.serving(issue("CN=shop", world.root, *names)))

    result = await check(url, ca_file=world.ca_file, server_name=server_name)

    assert result.reason == reason
    assert result.certificate_expires_at == ends(90)


@pytest.mark.parametrize("subject", ["CN=localhost", "CN=localhost,O=Shop"])
async def test_a_certificate_is_not_for_its_common_name(
    subject: str, serve: Serve, check: Check, world: World
) -> None:
    url = serve(answer(ok()), world.serving(issue(subject, world.root)), host="localhost")

    result = await check(url, ca_file=world.ca_file)

    assert (result.reason, result.tls and result.tls.subject) == (Reason.TLS_HOSTNAME, subject)


async def test_a_server_name_is_that_of_the_own_host_only(serve: Serve, check: Check, world: World) -> None:
    elsewhere = serve(answer(ok()), world.serving(issue("CN=b", world.root, "localhost")), host="localhost")
    own = world.serving(issue("CN=a", world.root, "shop.test"))
    back = serve(answer(redirect(elsewhere)), own)

    result = await check(serve(answer(redirect(back)), own), ca_file=world.ca_file, server_name="shop.test")

    assert (result.up, result.redirects) == (True, 2)


async def test_a_site_is_asked_for_by_its_server_name(serve: Serve, check: Check, world: World) -> None:
    asked: list[str | None] = []
    first = world.serving(issue("CN=first", world.root, "first.test"))
    second = world.serving(issue("CN=second", world.root, "second.test", days=7))

    def choose(connection: Any, name: str | None, _: object) -> None:
        asked.append(name)
        if name == "second.test":
            connection.context = second

    first.sni_callback = choose

    result = await check(serve(answer(ok()), first), ca_file=world.ca_file, server_name="second.test")

    assert (result.up, asked) == (True, ["second.test"])
    assert result.certificate_expires_at == ends(7)


async def test_the_last_hop_is_the_one_that_is_recorded(serve: Serve, check: Check, world: World) -> None:
    secure = world.serving(issue("CN=shop", world.root, "127.0.0.1"))
    plain = serve(answer(ok()))
    closed = serve(answer())

    to_plain = await check(serve(answer(redirect(plain)), secure), ca_file=world.ca_file)
    to_closed = await check(serve(answer(redirect(closed)), secure), ca_file=world.ca_file)

    assert (to_plain.up, to_plain.certificate_expires_at, to_plain.tls) == (True, None, None)
    assert (to_closed.reason, to_closed.tls) == (Reason.DISCONNECTED, None)


@pytest.mark.parametrize(("days", "up"), [(39, True), (41, False), (50, False)])
async def test_the_first_certificate_of_the_chain_to_expire_counts(
    days: float, up: bool, serve: Serve, check: Check, world: World
) -> None:
    middle = issue("CN=middle", world.root, authority=True, days=40)
    site = issue("CN=shop", middle, "127.0.0.1", days=60)
    url = serve(answer(ok()), world.serving(site, middle))

    result = await check(url, ca_file=world.ca_file, expect={"min_certificate_days": days})

    assert (result.up, result.reason) == (up, None if up else Reason.CERTIFICATE_EXPIRING)
    if not up:
        assert result.detail == f"a certificate expires in 40.0 days, expected at least {days}"
