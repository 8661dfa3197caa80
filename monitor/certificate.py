"""What certificates say. Each one is in DER and is read once."""

import warnings
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from cryptography import x509

# What cryptography raises for a certificate that OpenSSL may accept.
_UNREADABLE = (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)


class Identity(NamedTuple):
    """Whose certificate it is, as the `cryptography` library writes it; empty where it cannot be read."""

    sha256: str
    subject: str
    issuer: str
    alternatives: str
    """DNS names, joined by commas."""
    serial_number: str


@lru_cache(maxsize=4096)
def expires_at(der: bytes) -> float | None:
    """Return when the certificate expires (Unix seconds); `None` if it cannot be read."""
    try:
        return _read(der).not_valid_after_utc.timestamp()
    except ValueError:
        return None


def earliest_expiry(chain: Iterable[bytes]) -> float | None:
    """Return when the first certificate of the chain expires (Unix seconds); `None` if none can be read."""
    return min(filter(None, map(expires_at, chain)), default=None)


@lru_cache(maxsize=4096)
def identity(der: bytes) -> Identity:
    fingerprint = sha256(der).hexdigest()
    try:
        certificate = _read(der)
        return Identity(
            fingerprint,
            certificate.subject.rfc4514_string(),
            certificate.issuer.rfc4514_string(),
            ",".join(_alternatives(certificate)),
            f"{certificate.serial_number:x}",
        )
    except _UNREADABLE:
        return Identity(fingerprint, "", "", "", "")


def _alternatives(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return names.value.get_values_for_type(x509.DNSName)


def _read(der: bytes) -> x509.Certificate:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a certificate that we only display
        return x509.load_der_x509_certificate(der)
