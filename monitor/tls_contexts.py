"""TLS of a check: the contexts of monitors, what a peer presented, and what its certificates say.

A context is large, so that monitors share it. It is made again when one of its files has been renewed.
"""

import ssl
from pathlib import Path
from typing import NamedTuple

from monitor.runtime.tls import trusting
from monitor.tls_peer import Peer


class TlsSettings(NamedTuple):
    """A monitor's settings for TLS; `ca_file` replaces the system's authorities."""

    verify: bool
    ca_file: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None

    def stamps(self) -> list[tuple[int, int, int]]:
        """Return what changes when one of the files does."""
        stats = [path.stat() for path in self[1:] if path is not None]
        return [(stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in stats]


class TlsContexts:
    """One context for all monitors with the same settings."""

    def __init__(self) -> None:
        self._made: dict[TlsSettings, tuple[ssl.SSLContext, list[tuple[int, int, int]]]] = {}

    def get(self, settings: TlsSettings) -> ssl.SSLContext:
        """Return the context for these settings and the present files.

        Raises:
            OSError: a file cannot be read, or its content is not what it should be.

        """
        stamps = settings.stamps()
        if settings not in self._made or self._made[settings][1] != stamps:
            self._made[settings] = _make(settings), stamps
        return self._made[settings][0]


def _make(settings: TlsSettings) -> ssl.SSLContext:
    context = trusting(settings.ca_file)
    context.sslobject_class = Peer
    context.set_alpn_protocols(["http/1.1"])
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.client_cert is not None:
        # Without a password, OpenSSL would ask for one on the terminal.
        context.load_cert_chain(settings.client_cert, settings.client_key, password="")
    return context
