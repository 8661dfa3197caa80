"""Which certificates are accepted: the same ones on every version of Python."""

import ssl
from pathlib import Path


def trusting(authorities: Path | None = None) -> ssl.SSLContext:
    """Make a client's context that trusts these authorities, or else the system's.

    From 3.13 on Python refuses by default a chain that only breaks a rule of RFC 5280 (such as
    an authority without key usage), which browsers accept, and takes an intermediate certificate
    for an authority (https://docs.python.org/3/library/ssl.html#ssl.create_default_context).
    Whether a site is up must not depend on that.

    Raises:
        OSError: the file cannot be read, or holds no certificates.

    """
    context = ssl.create_default_context(cafile=authorities)
    context.verify_flags = ssl.VerifyFlags.VERIFY_X509_TRUSTED_FIRST
    return context
