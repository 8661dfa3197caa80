"""What OpenSSL says about a failed connection."""

import re
import ssl

_AROUND = re.compile(r"^\[[^]]*\] | \(_ssl\.c:\d+\)$")


def tls_trouble(error: ssl.SSLError) -> str:
    """Return Python's name of the error, or OpenSSL's text where it is too new for Python to have a name."""
    return getattr(error, "reason", None) or _AROUND.sub("", str(error))
