"""Why a Kafka cluster cannot be used: the reason that is not in aiokafka's errors."""

import asyncio
import os
import ssl
from pathlib import Path

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import KafkaError

from monitor.config.checks import AUTHORITIES, CERTIFICATE
from monitor.config.model import Config
from monitor.delivery.kafka.access import CLIENT_ID, security
from monitor.runtime.tls import tls_trouble

_LIMIT_S = 5.0


async def diagnosis(config: Config, bootstrap: str) -> str | None:
    """Connect to the first server; return its address and what is wrong, in one line, or `None`."""
    settings = security(config)
    host, port, _ = collect_hosts(bootstrap, randomize=False)[0]
    try:
        async with asyncio.timeout(_LIMIT_S):
            connection = await create_conn(host, port, client_id=CLIENT_ID, **settings)
    except (KafkaError, OSError) as error:
        return f"{host}:{port}: {_reason(error, config.kafka_ssl_dir)}"
    await connection.close()
    return None


def _reason(error: Exception, ssl_dir: Path) -> str:
    cause = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {cause.verify_message}; trusted are {_trusted(ssl_dir)}"
    if isinstance(cause, ssl.SSLError):
        reason = tls_trouble(cause)
        return f"TLS fails: {reason}; the client's certificate is {_shown(ssl_dir)}"
    if isinstance(cause, TimeoutError):
        return f"no answer in {_LIMIT_S:g} s"
    if isinstance(cause, OSError) and cause.errno and cause.errno > 0:
        return os.strerror(cause.errno).lower()
    return str(cause) or type(cause).__name__


def _trusted(ssl_dir: Path) -> str:
    authorities = ssl_dir / AUTHORITIES
    return f"those of {authorities}" if authorities.exists() else f"the system's, as {authorities} is missing"


def _shown(ssl_dir: Path) -> str:
    certificate = ssl_dir / CERTIFICATE
    return str(certificate) if certificate.exists() else f"none, as {certificate} is missing"
