"""What a peer's certificate says."""

from functools import lru_cache

from cryptography import x509


@lru_cache(maxsize=4096)
def expires_at(der: bytes) -> float | None:
    """Read when the certificate expires (Unix seconds); `None` when it cannot be read."""
    try:
        return x509.load_der_x509_certificate(der).not_valid_after_utc.timestamp()
    except ValueError:
        return None
