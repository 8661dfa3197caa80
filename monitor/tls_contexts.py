"""TLS contexts for monitors: shared, since each is large, and made anew when a file of theirs is renewed."""

import ssl
from pathlib import Path
from typing import NamedTuple

from monitor.tls_peer import Peer
from monitor.tls_trust import trusting


class TlsSettings(NamedTuple):
    """What a monitor says about TLS; `ca_file` stands in for the system's authorities."""

    verify: bool
    ca_file: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None

    def stamps(self) -> list[tuple[int, int, int]]:
        """Tell the versions of the files."""
        stats = [path.stat() for path in self[1:] if path is not None]
        return [(stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in stats]


class TlsContexts:
    """One context for all monitors of the same settings."""

    def __init__(self) -> None:
        self._made: dict[TlsSettings, tuple[ssl.SSLContext, list[tuple[int, int, int]]]] = {}

    def get(self, settings: TlsSettings) -> ssl.SSLContext:
        """Get the context for these settings and the present files.

        Raises:
            OSError: a file cannot be read or does not hold what it should.

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
        # An empty password asks nobody for one.
        context.load_cert_chain(settings.client_cert, settings.client_key, password="")
    return context
