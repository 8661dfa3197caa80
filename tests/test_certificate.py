from datetime import UTC, datetime

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from monitor.certificate import expires_at


def test_a_certificate_tells_when_it_expires() -> None:
    end = datetime(2038, 1, 19, tzinfo=UTC)
    pem = trustme.CA().issue_cert("a.test", not_after=end).cert_chain_pems[0].bytes()
    der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)

    assert expires_at(der) == end.timestamp()


def test_a_certificate_that_cannot_be_read_tells_nothing() -> None:
    assert expires_at(b"no certificate") is None
