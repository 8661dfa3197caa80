"""Whom a connection to PostgreSQL trusts."""

import ssl
from urllib.parse import parse_qsl, urlsplit

from monitor.tls_trust import trusting


def system_trust(uri: str) -> ssl.SSLContext | None:
    """Stand in for libpq's `sslrootcert=system`, the default here; `None` leaves all to the URI."""
    options = dict(parse_qsl(urlsplit(uri).query))
    mode = options.get("sslmode", "")
    if not mode.startswith("verify") or options.get("sslrootcert", "system") != "system":
        return None
    context = trusting()
    context.check_hostname = mode == "verify-full"
    if "sslcert" in options:
        context.load_cert_chain(options["sslcert"], options.get("sslkey"), options.get("sslpassword"))
    return context
