"""What a peer presented in TLS, also when it was not accepted.

Python tells a chain only after a handshake that succeeded, and publicly from 3.13 on. OpenSSL
keeps what the peer presented before it judges it, so that the connection that was
refused can be asked: no second look is needed, which might see another certificate.
"""

import _ssl
import ssl
from functools import lru_cache
from typing import NamedTuple

from monitor.certificate import earliest_expiry, identity
from monitor.result import Tls


class SeenTls(NamedTuple):
    """What a check has seen of a peer's TLS."""

    certificate_expires_at: float | None = None
    tls: Tls | None = None


class Peer(ssl.SSLObject):
    """The TLS of a connection; an error about the peer's certificates takes along what was `presented`."""

    def do_handshake(self) -> None:
        """Shake hands.

        Raises:
            ssl.SSLCertVerificationError: the chain is not accepted; it is in `presented`.

        """
        try:
            super().do_handshake()
        except ssl.SSLCertVerificationError as refused:
            refused.presented = _der(self._sslobj.get_unverified_chain())  # type: ignore[attr-defined]
            raise

    def seen(self) -> SeenTls:
        """Tell what a peer that was accepted presented and agreed to."""
        verified = self.context.verify_mode is not ssl.CERT_NONE
        chain = _der(self._sslobj.get_unverified_chain())  # type: ignore[attr-defined]
        trusted = _der(self._sslobj.get_verified_chain()) if verified else ()  # type: ignore[attr-defined]
        cipher = self.cipher()
        return _described(chain, trusted, self.version() or "", cipher[0] if cipher else "")


def seen_of_refused(error: BaseException) -> SeenTls:
    """Tell what a peer presented that was not accepted; what was to be agreed to stays empty."""
    return _described(getattr(error, "presented", ()), (), "", "")


def _der(chain: list[_ssl.Certificate] | None) -> tuple[bytes, ...]:
    return tuple(each.public_bytes(_ssl.ENCODING_DER) for each in chain or ())


@lru_cache(maxsize=4096)
def _described(chain: tuple[bytes, ...], trusted: tuple[bytes, ...], version: str, cipher: str) -> SeenTls:
    if not chain:
        return SeenTls()
    tls = Tls(
        version=version.replace("TLSv", "TLS "),
        cipher=cipher,
        chain_expires_at=earliest_expiry(trusted),
        **identity(chain[0])._asdict(),
    )
    return SeenTls(earliest_expiry(chain), tls)
