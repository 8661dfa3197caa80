"""TLS of a client: which certificates it accepts, and why it fails."""

import re
import ssl
from pathlib import Path


def trusting(authorities: Path | None = None) -> ssl.SSLContext:
    """Return a client's TLS context that trusts the authorities in this file, or else the system's.

    It accepts the same certificates on every version of Python.
    From 3.13 on Python by default refuses a chain that breaks some rule of RFC 5280 (such as an
    authority without key usage), although browsers accept it, and accepts an intermediate certificate
    as an authority (https://docs.python.org/3/library/ssl.html#ssl.create_default_context).
    Whether a site is up must not depend on that.

    Raises:
        OSError: the file cannot be read, or holds no certificates.

    """
    context = ssl.create_default_context(cafile=authorities)
    context.verify_flags = ssl.VerifyFlags.VERIFY_X509_TRUSTED_FIRST
    return context


_AROUND = re.compile(r"^\[[^]]*\] | \(_ssl\.c:\d+\)$")


def tls_trouble(error: ssl.SSLError) -> str:
    """Return the words of Python's name of the error, or OpenSSL's text where Python has no name yet."""
    name = getattr(error, "reason", None)
    return name.lower().replace("_", " ") if name else _AROUND.sub("", str(error))
