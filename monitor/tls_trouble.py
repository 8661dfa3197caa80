"""What OpenSSL says is wrong."""

import re
import ssl

_AROUND = re.compile(r"^\[[^]]*\] | \(_ssl\.c:\d+\)$")


def trouble(error: ssl.SSLError) -> str:
    """Tell the name of the trouble, or in OpenSSL's words what Python has no name for, since it is newer."""
    return getattr(error, "reason", None) or _AROUND.sub("", str(error))
