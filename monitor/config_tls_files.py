"""The PEM files of a TLS client, checked before they are needed.

Each function raises a `ValueError` that names the file: `what is wrong; what is allowed`.
"""

import ssl
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot read {path}; must be a readable PEM file") from error


def _certificates(path: Path) -> list[x509.Certificate]:
    content = _read(path)
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise ValueError(f"no certificate in {path}; must be a PEM file with one or more") from error


def check_authorities(path: Path) -> None:
    """Check that the file holds certificates."""
    _certificates(path)


def check_certificate(path: Path, now: datetime | None = None) -> None:
    """Check that the file's first certificate has not expired."""
    expires_at = _certificates(path)[0].not_valid_after_utc
    if expires_at < (now or datetime.now(UTC)):
        raise ValueError(f"the certificate in {path} expired at {expires_at}; must be a valid one")


def check_pair(certificate: Path, key: Path) -> None:
    """Check that these are a certificate and its private key, without a password."""
    _certificates(certificate)
    content = _read(key)
    try:
        load_pem_private_key(content, password=None)
    except TypeError as error:
        raise ValueError(f"the key in {key} has a password; must have none") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"no private key in {key}; must be a PEM file with one") from error
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        reason = str(error.reason).lower().replace("_", " ")
        raise ValueError(f"{certificate} with {key}: {reason}; must belong together") from error
