"""The security protocol of the Kafka connection, and whether the configuration has all that it needs."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from monitor.config import SecurityProtocol, WrittenConfig
from monitor.config_rules import EMBEDDED
from monitor.config_tls_files import check_authorities, check_certificate, check_pair

AUTHORITIES, CERTIFICATE, KEY = FILES = ("ca.pem", "service.cert", "service.key")


def effective_protocol(config: WrittenConfig) -> SecurityProtocol:
    """Return the protocol: as written, else by the files in `kafka_ssl_dir`."""
    if config.kafka_bootstrap == EMBEDDED:
        return "PLAINTEXT"
    if config.kafka_security_protocol is not None:
        return config.kafka_security_protocol
    return "SSL" if present(config.kafka_ssl_dir) else "PLAINTEXT"


def security_mistakes(config: WrittenConfig) -> Iterator[tuple[str, str]]:
    """Return each key whose value does not fit the protocol, with what is wrong and what is allowed."""
    try:
        protocol = effective_protocol(config)
        found = present(config.kafka_ssl_dir) if protocol.endswith("SSL") else None
    except OSError as error:
        yield "kafka_ssl_dir", f"cannot look into {config.kafka_ssl_dir} ({error.strerror}); must be a folder"
        return
    if config.kafka_security_protocol not in {None, protocol}:
        yield "kafka_security_protocol", "not with the embedded broker; must be PLAINTEXT or left out"
        return
    yield from _sasl_mistakes(config, needed=protocol.startswith("SASL"))
    if found is not None:
        for text in dict.fromkeys(_file_mistakes(config, found)):
            yield "kafka_ssl_dir", text


def present(folder: Path) -> set[str]:
    """Return the names of those of the three files that exist.

    Raises:
        OSError: the folder cannot be read. From Python 3.14 on, `Path.exists` would return false then.

    """
    return {name for name in FILES if _is_there(folder / name)}


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _sasl_mistakes(config: WrittenConfig, *, needed: bool) -> Iterator[tuple[str, str]]:
    for key in ("kafka_sasl_mechanism", "kafka_username", "kafka_password"):
        given = getattr(config, key) is not None
        if needed and not given:
            yield key, "missing; SASL needs kafka_sasl_mechanism, kafka_username and kafka_password"
        if given and not needed:
            yield key, "not used; only allowed with kafka_security_protocol SASL_PLAINTEXT or SASL_SSL"


def _file_mistakes(config: WrittenConfig, found: set[str]) -> Iterator[str]:
    needed = set(FILES)
    if config.kafka_security_protocol is not None:
        needed = {CERTIFICATE, KEY} if found - {AUTHORITIES} else set()
    missing = [name for name in FILES if name in needed - found]
    if missing:
        yield f"{' and '.join(missing)} missing there; must have all of {', '.join(FILES)}, or none"
    authorities, certificate, key = (config.kafka_ssl_dir / name for name in FILES)
    checks = (
        ({AUTHORITIES}, partial(check_authorities, authorities)),
        ({CERTIFICATE}, partial(check_certificate, certificate)),
        ({CERTIFICATE, KEY}, partial(check_pair, certificate, key)),
    )
    for files, check in checks:
        if files <= found:
            try:
                check()
            except ValueError as error:
                yield str(error)
