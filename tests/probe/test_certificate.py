import ssl
import warnings

import pytest

from monitor.probe.tls import SeenTls, earliest_expiry, expires_at, names_of, seen_of_refused
from monitor.result import Tls
from tests.certificates import DAY, NOW, issue


def test_the_expiry_of_a_certificate_is_read() -> None:
    assert expires_at(issue("CN=a", days=9).der) == (NOW + 9 * DAY).timestamp()


def test_a_certificate_that_cannot_be_read_has_no_expiry() -> None:
    refused = ssl.SSLCertVerificationError()
    refused.presented = (b"",)  # type: ignore[attr-defined]

    assert expires_at(b"no certificate") is None
    assert seen_of_refused(refused) == SeenTls(
        None,
        Tls("", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "", "", "", "", None),
    )


def test_the_first_of_a_chain_to_expire_counts() -> None:
    chain = [issue("CN=a", days=days).der for days in (9, -5, 30)]

    assert earliest_expiry([*chain, b"no certificate"]) == (NOW - 5 * DAY).timestamp()
    assert earliest_expiry([]) is None


def test_a_certificate_without_names_has_no_alternatives() -> None:
    assert names_of(issue("CN=a,O=b").der)[:3] == ("CN=a,O=b", "CN=a,O=b", "")


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
        assert names_of(der)[0] == ""
    assert expires_at(der) is not None
