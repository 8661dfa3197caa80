"""Text files and PEM files that the configuration names, read and checked before they are needed.

Each function raises a `ValueError` that names the file: `what is wrong; what is allowed`.
"""

import os
import ssl
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from monitor.runtime.files import MAX_PEM_BYTES, read_file

_DATABASE_KEYS = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "servicefile")


class UnreadableError(ValueError):
    """The file cannot be read as text; the message says why, without naming the file."""


def read_text(path: Path, max_bytes: int) -> str:
    """Return the text of a file of UTF-8, with or without a byte order mark.

    Raises:
        UnreadableError: it is missing, forbidden, no regular file, too large, or not UTF-8.

    """
    try:
        content = read_file(path, max_bytes)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise UnreadableError(reason or "not a path") from error
    if b"\0" in content[:2]:  # without a byte order mark, decoding does not fail
        raise UnreadableError("UTF-16 or UTF-32 text; must be UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"not UTF-8 (byte {error.start}); must be UTF-8") from error


def read_pem(path: Path) -> bytes:
    """Return the content of a file that should have certificates or a key."""
    try:
        return read_file(path, MAX_PEM_BYTES)
    except OSError as error:
        raise ValueError(f"cannot read {path} ({error.strerror}); must be a readable PEM file") from error


def _certificates(path: Path) -> list[x509.Certificate]:
    content = read_pem(path)
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise ValueError(f"no certificate in {path}; must be a PEM file with one or more") from error


def check_authorities(path: Path) -> Path:
    """Allow PEM files with certificates."""
    _certificates(path)
    return path


def check_certificate(path: Path) -> None:
    """Check that the file's first certificate has not expired."""
    expires_at = _certificates(path)[0].not_valid_after_utc
    if expires_at < datetime.now(UTC):
        raise ValueError(f"the certificate in {path} expired at {expires_at}; must be a valid one")


def check_pair(certificate: Path, key: Path) -> None:
    """Check that these are a certificate and its private key, without a password."""
    _certificates(certificate)
    content = read_pem(key)
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


def database_files(uri: str) -> list[str]:
    """Return the files that a URI of PostgreSQL names and that are there; not all are always needed."""
    options = dict(parse_qsl(uri.partition("?")[2].partition("#")[0]))
    named = [options[key] for key in _DATABASE_KEYS if key in options]
    return [path for path in named if os.path.exists(path)]  # noqa: PTH110 - Path raises for long names


def check_database_files(uri: str) -> str:
    """Allow URIs of PostgreSQL whose files can be read, as far as they are there."""
    for path in database_files(uri):
        read_pem(Path(path))
    return uri
