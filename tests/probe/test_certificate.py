import ssl
import warnings

import pytest

from monitor.probe.tls import Identity, SeenTls, earliest_expiry, expires_at, identity, seen_of_refused
from tests.certificates import DAY, NOW, issue


def test_the_expiry_of_a_certificate_is_read() -> None:
    assert expires_at(issue("CN=a", days=9).der) == (NOW + 9 * DAY).timestamp()


def test_a_certificate_that_cannot_be_read_has_no_expiry() -> None:
    assert expires_at(b"no certificate") is None
    assert identity(b"") == Identity(
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "", "", "", ""
    )


def test_the_first_of_a_chain_to_expire_counts() -> None:
    chain = [issue("CN=a", days=days).der for days in (9, -5, 30)]

    assert earliest_expiry([*chain, b"no certificate"]) == (NOW - 5 * DAY).timestamp()
    assert earliest_expiry([]) is None


def test_a_certificate_without_names_has_no_alternatives() -> None:
    assert identity(issue("CN=a,O=b").der)[1:4] == ("CN=a,O=b", "CN=a,O=b", "")


def test_a_refusal_without_a_chain_shows_no_tls() -> None:
    assert seen_of_refused(ssl.SSLCertVerificationError()) == SeenTls()


@pytest.mark.parametrize(
    ("part", "damaged"),
    [(b"shop.test", b"sh\xffp.test"), (b"shop name", b"sh\xffp name")],
)
def test_a_name_that_cannot_be_read_is_empty(part: bytes, damaged: bytes) -> None:
    der = issue("CN=shop name", None, "shop.test").der.replace(part, damaged)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert identity(der).subject == ""
    assert expires_at(der) is not None
