"""What a peer presented in TLS, also when it was not accepted."""

import _ssl
import ssl
from functools import lru_cache
from typing import NamedTuple

from monitor.certificate import earliest_expiry, identity
from monitor.result import Tls


class SeenTls(NamedTuple):
    """What a check has seen of the TLS of a peer."""

    certificate_expires_at: float | None = None
    tls: Tls | None = None


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

    def seen(self) -> SeenTls:
        """Return what an accepted peer presented and agreed to."""
        verified = self.context.verify_mode is not ssl.CERT_NONE
        chain = _der(self._sslobj.get_unverified_chain())  # type: ignore[attr-defined]
        trusted = _der(self._sslobj.get_verified_chain()) if verified else ()  # type: ignore[attr-defined]
        cipher = self.cipher()
        return _described(chain, trusted, self.version() or "", cipher[0] if cipher else "")


def seen_of_refused(error: BaseException) -> SeenTls:
    """Return what a peer presented that was not accepted; version and cipher stay empty."""
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
