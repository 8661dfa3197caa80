"""Certificates made by hand, for chains that trustme does not make."""

import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key."""

    x509: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.x509.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def sha256(self) -> str:
        return self.x509.fingerprint(hashes.SHA256()).hex()

    @property
    def der(self) -> bytes:
        return self.x509.public_bytes(Encoding.DER)


def issue(
    subject: str,
    by: Certificate | None = None,
    *names: str,
    days: float = 90,
    authority: bool = False,
    serial: int | None = None,
) -> Certificate:
    """Return a certificate that expires in so many days; without an issuer it signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name.from_rfc4514_string(subject)
    issuer_key = by.key if by else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(by.x509.subject if by else name)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(NOW - 400 * DAY)
        .not_valid_after(NOW + days * DAY)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general(each) for each in names]), critical=False
        )
    return Certificate(builder.sign(issuer_key, hashes.SHA256()), key)


def serving(folder: Path, chain: Sequence[Certificate]) -> ssl.SSLContext:
    """Return the TLS context of a server that presents this chain, its own certificate first."""
    file = folder / "serving.pem"
    file.write_bytes(b"".join((chain[0].key_pem, *(each.pem for each in chain))))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
