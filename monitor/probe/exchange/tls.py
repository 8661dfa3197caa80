"""TLS of a check: the contexts of monitors, what a peer presented, and what is in its certificates.

A context is large, so monitors share it. It is made again when one of its files has been renewed.
Certificates are in DER.
"""

import _ssl
import ssl
import warnings
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import msgspec
from cryptography import x509

from monitor.result import Certificate, Tls
from monitor.runtime.byte_cache import ByteCache
from monitor.runtime.files import check_pem
from monitor.runtime.text import quoted
from monitor.runtime.tls import trusting

MAX_NAMES = 100  # DNS names of a certificate that are kept
_MAX_NAME = 253  # characters of each; DNS has no longer ones
_MAX_DISTINGUISHED = 1_000  # characters of a subject or an issuer
_MAX_PARTS = 50  # of a subject or an issuer
_MAX_SERIAL = 64  # hex digits; RFC 5280 allows 40

# What cryptography raises for a certificate that OpenSSL may accept.
_UNREADABLE = (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)


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
    check_pem(*settings[1:])
    context = trusting(settings.ca_file)
    context.sslobject_class = Peer
    context.set_alpn_protocols(["http/1.1"])
    context.hostname_checks_common_name = False  # as browsers
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.client_cert is not None:
        # Without a password, OpenSSL would ask for one on the terminal.
        context.load_cert_chain(settings.client_cert, settings.client_key, password="")
    return context


class SeenTls(NamedTuple):
    """What a check has seen of the TLS of a peer."""

    certificate_expires_at: float | None = None
    tls: Tls | None = None


_known: ByteCache[SeenTls] = ByteCache(16 << 20)
"""Of chains that were seen before."""


class Peer(ssl.SSLObject):
    """The TLS of a connection. An error about the peer's certificates has them in `presented`.

    Python returns the chain only after a handshake that succeeded, and has a public method for it only
    from 3.13 on. OpenSSL keeps what the peer presented before it verifies it, so that we can read it
    from the refused connection. A second connection might see another certificate.
    """

    def do_handshake(self) -> None:
        """Run the next step of the handshake.

        Raises:
            ssl.SSLCertVerificationError: the chain is not accepted.

        """
        try:
            super().do_handshake()
        except ssl.SSLCertVerificationError as refused:
            refused.presented = _der(self._sslobj.get_unverified_chain())  # type: ignore[attr-defined]
            raise

    def presented(self) -> tuple[bytes, ...]:
        """Return the chain that an accepted peer presented."""
        return _der(self._sslobj.get_unverified_chain())  # type: ignore[attr-defined]

    def seen(self) -> SeenTls:
        """Return what an accepted peer presented and agreed to."""
        verified = self.context.verify_mode is not ssl.CERT_NONE
        trusted = _der(self._sslobj.get_verified_chain()) if verified else ()  # type: ignore[attr-defined]
        cipher = self.cipher()
        return _described(self.presented(), trusted, self.version() or "", cipher[0] if cipher else "")


def presented_by_refused(error: ssl.SSLCertVerificationError) -> tuple[bytes, ...]:
    """Return the chain that a peer presented and that was not accepted."""
    return getattr(error, "presented", ())


def seen_of_refused(chain: tuple[bytes, ...]) -> SeenTls:
    """Return what is in a chain that was not accepted; version and cipher stay empty."""
    return _described(chain, (), "", "")


def _der(chain: list[_ssl.Certificate] | None) -> tuple[bytes, ...]:
    return tuple(each.public_bytes(_ssl.ENCODING_DER) for each in chain or ())


def _described(chain: tuple[bytes, ...], trusted: tuple[bytes, ...], version: str, cipher: str) -> SeenTls:
    if not chain:
        return SeenTls()
    key = sha256(f"{version} {cipher} {[*map(len, chain)]} {[*map(len, trusted)]}".encode())
    for each in chain + trusted:
        key.update(each)
    known = _known.get(key.digest())
    if known is None:
        known = _read_chain(chain, trusted, version, cipher)
        _known.put(key.digest(), known, len(msgspec.json.encode(known)))
    return known


def _read_chain(chain: tuple[bytes, ...], trusted: tuple[bytes, ...], version: str, cipher: str) -> SeenTls:
    fingerprint = sha256(chain[0]).hexdigest()
    tls = Tls(
        version.replace("TLSv", "TLS "), cipher, fingerprint, *names_of(chain[0]), earliest_expiry(trusted)
    )
    return SeenTls(earliest_expiry(chain), tls)


def names_of(der: bytes) -> tuple[str, str, str, str]:
    """Return a certificate's subject, issuer, DNS names (joined by commas) and serial number (hex digits).

    All are cut, and without control characters. All are empty where the certificate cannot be read.
    """
    try:
        certificate = _read(der)
        return (
            _distinguished(certificate.subject),
            _distinguished(certificate.issuer),
            _listed(_alternatives(certificate)),
            _serial(certificate.serial_number),
        )
    except _UNREADABLE:
        return "", "", "", ""


def certificates_in(chain: Sequence[bytes]) -> Iterator[Certificate]:
    """Return what is in each certificate of a chain; names are cut and without control characters."""
    for der in chain:
        fingerprint = sha256(der).hexdigest()
        try:
            read = _read(der)
            yield Certificate(
                fingerprint,
                _distinguished(read.subject),
                _distinguished(read.issuer),
                read.not_valid_before_utc.timestamp(),
                read.not_valid_after_utc.timestamp(),
            )
        except _UNREADABLE:
            yield Certificate(fingerprint)


def _serial(number: int) -> str:
    """Return whole bytes, as blackbox_exporter shows them: a leading zero stays."""
    digits = f"{number:x}"
    return digits.zfill(len(digits) + len(digits) % 2)[:_MAX_SERIAL]


def _distinguished(name: x509.Name) -> str:
    shown = x509.Name(name.rdns[-_MAX_PARTS:])  # these are written first
    return quoted(shown.rfc4514_string(), _MAX_DISTINGUISHED)


def _listed(names: list[str]) -> str:
    shown = ",".join(quoted(each, _MAX_NAME) for each in names[:MAX_NAMES])
    return shown if len(names) <= MAX_NAMES else f"{shown},… ({len(names)} names)"


def expires_at(der: bytes) -> float | None:
    """Return when the certificate expires (Unix seconds); `None` if it cannot be read."""
    try:
        return _read(der).not_valid_after_utc.timestamp()
    except ValueError:
        return None


def earliest_expiry(chain: Iterable[bytes]) -> float | None:
    """Return when the first certificate of the chain expires (Unix seconds); `None` if none can be read."""
    return min((at for at in map(expires_at, chain) if at is not None), default=None)


def _alternatives(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return names.value.get_values_for_type(x509.DNSName)


def _read(der: bytes) -> x509.Certificate:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a certificate that we only display
        return x509.load_der_x509_certificate(der)
