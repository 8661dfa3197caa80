"""How a client shows Kafka who it is, and which authorities it trusts."""

import ssl
from typing import Any

from monitor.config.checks import AUTHORITIES, CERTIFICATE, KEY, present
from monitor.config.model import Config
from monitor.runtime.files import check_pem
from monitor.runtime.tls import trusting

CLIENT_ID = "website-health-monitor"
REQUEST_MS = 15_000  # more than a rebalance takes, less than the patience of who starts a client


def security(config: Config) -> dict[str, Any]:
    """Return the settings that each client needs to be let in.

    The files of `kafka_ssl_dir` are read each time, so that renewed ones are taken up.

    Raises:
        OSError: a file cannot be read, or is no certificate; `ssl.SSLError` is one.

    """
    settings: dict[str, Any] = {"security_protocol": config.kafka_security_protocol}
    if config.kafka_security_protocol.endswith("SSL"):
        settings["ssl_context"] = _tls_context(config)
    if config.kafka_password is not None:
        settings["sasl_mechanism"] = config.kafka_sasl_mechanism
        settings["sasl_plain_username"] = config.kafka_username
        settings["sasl_plain_password"] = config.kafka_password.get_secret_value()
    return settings


def _tls_context(config: Config) -> ssl.SSLContext:
    """Return a context that trusts `ca.pem`, or else the system's authorities.

    It shows the client's certificate when there is one.
    """
    authorities, certificate, key = (config.kafka_ssl_dir / name for name in (AUTHORITIES, CERTIFICATE, KEY))
    found = present(config.kafka_ssl_dir)
    check_pem(*(config.kafka_ssl_dir / name for name in found))
    context = trusting(authorities if AUTHORITIES in found else None)
    if CERTIFICATE in found:
        context.load_cert_chain(certificate, key)
    return context
