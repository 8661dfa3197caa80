"""The reason and the detail of what ended a check.

Each function explains what went wrong in one step. Own trouble (no file descriptor, port, thread or
memory left) is no failure of the site: it is raised as `OwnTroubleError`. The details are written here,
for a person. Texts of exceptions can contain URLs with secrets, so only the peer's own words are taken
from them, escaped and cut.
"""

import errno
import os
import re
import socket
import ssl
from collections.abc import Set as AbstractSet

from monitor.probe.addresses import NoAddressError
from monitor.probe.dns import OWN_TROUBLE
from monitor.probe.exchange.tls import presented_by_refused
from monitor.probe.judging.expect import Failure
from monitor.probe.timing import Phase
from monitor.result import OwnTroubleError, Reason
from monitor.runtime.text import quoted
from monitor.runtime.tls import tls_trouble

_NOT_FOUND = {socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY}

_UNREACHABLE = (Reason.CONNECT_UNREACHABLE, "cannot be reached")
# Several addresses can fail in several ways: the first of these that occurred is the reason.
_CONNECT: dict[int, Failure] = {
    errno.ECONNREFUSED: (Reason.CONNECT_REFUSED, "refused the connection"),
    errno.ETIMEDOUT: (Reason.CONNECT_TIMEOUT, "did not accept the connection in time"),
    errno.EHOSTUNREACH: _UNREACHABLE,
    errno.ENETUNREACH: _UNREACHABLE,
    errno.EADDRNOTAVAIL: _UNREACHABLE,
}

# X509_V_ERR_ codes of OpenSSL; all others are `tls_untrusted`.
_CERTIFICATE = {
    10: Reason.TLS_EXPIRED,
    18: Reason.TLS_SELF_SIGNED,
    62: Reason.TLS_HOSTNAME,
    63: Reason.TLS_HOSTNAME,
    64: Reason.TLS_HOSTNAME,
}

_TIMEOUT = {
    Phase.BETWEEN: (Reason.CONNECT_TIMEOUT, "no connection"),
    Phase.RESOLVE: (Reason.DNS_TIMEOUT, "no answer from DNS"),
    Phase.CONNECT: (Reason.CONNECT_TIMEOUT, "no connection"),
    Phase.TLS: (Reason.TLS_ERROR, "the TLS handshake did not finish"),
    Phase.PROCESSING: (Reason.RESPONSE_TIMEOUT, "no response"),
    Phase.TRANSFER: (Reason.BODY_TIMEOUT, "the body did not end"),
}


class Failed(Exception):  # noqa: N818 - it is the check that failed
    """A check is over, and this is why; `presented` are the certificates of a peer that were not accepted."""

    def __init__(self, reason: Reason, detail: str, presented: tuple[bytes, ...] = ()) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.presented = presented


def timed_out(phase: Phase, timeout_s: float) -> Failure:
    """Return what a check that ran out of time was waiting for."""
    reason, what = _TIMEOUT[phase]
    return reason, f"{what} within {timeout_s:g} s"


def look_up_failed(error: OSError, host: str) -> Failed:
    """Return why a name has no address.

    Raises:
        OwnTroubleError: this machine is at fault.

    """
    if isinstance(error, NoAddressError):
        return Failed(error.reason, quoted(error.detail))
    if not isinstance(error, socket.gaierror):
        _raise_if_own_trouble({error.errno}, error)
    elif error.errno == socket.EAI_MEMORY:
        raise OwnTroubleError("no memory for a DNS look-up") from error
    elif error.errno == socket.EAI_AGAIN:
        _raise_if_no_descriptor(error)
    elif error.errno in _NOT_FOUND:
        return Failed(Reason.DNS_NOT_FOUND, f"DNS has no address of {quoted(host)}")
    return Failed(Reason.DNS_ERROR, f"the DNS look-up of {quoted(host)} failed: {error.strerror}")


def _raise_if_no_descriptor(error: Exception) -> None:
    """Raise if there is no file descriptor left: then, too, `getaddrinfo` answers `EAI_AGAIN`."""
    try:
        socket.socket().close()
    except OSError as full:
        raise OwnTroubleError(str(full.strerror)) from error


def connect_failed(error: OSError, ip: str, port: int) -> Failed:
    """Return why there is no connection to the address, which is the last of those that were tried.

    Raises:
        OwnTroubleError: this machine is at fault.

    """
    # Where several addresses failed in several ways, their error numbers are only in the text.
    codes = {error.errno, *map(int, re.findall(r"\[Errno (\d+)\]", str(error)))}
    _raise_if_own_trouble(codes, error)
    if codes == {errno.EADDRNOTAVAIL} and ":" not in ip:
        raise OwnTroubleError("no local port left") from error
    for code, (reason, what) in _CONNECT.items():
        if code in codes:
            return Failed(reason, f"{ip} port {port} {what}")
    return Failed(
        Reason.CONNECT_ERROR, f"{ip} port {port} could not be connected to: {quoted(str(error.strerror))}"
    )


def did(code: int) -> str:
    """Return what an address did that could not be connected to, by the number of the error."""
    return _CONNECT[code][1] if code in _CONNECT else f"could not be connected to: {os.strerror(code)}"


def handshake_failed(error: OSError) -> Failed:
    """Return why there is no TLS on a connection."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = _CERTIFICATE.get(error.verify_code, Reason.TLS_UNTRUSTED)
        detail = f"the certificate was not accepted: {quoted(error.verify_message)}"
        return Failed(reason, detail, presented_by_refused(error))
    what = tls_trouble(error) if isinstance(error, ssl.SSLError) else "the connection was closed"
    return Failed(Reason.TLS_ERROR, f"the TLS handshake failed: {quoted(what)}")


def connection_lost(error: BaseException | None, *, in_body: bool) -> Failed:
    """Return that a connection ended too early; `error` is what the event loop says about it.

    Raises:
        OwnTroubleError: this machine is at fault.

    """
    if isinstance(error, ssl.SSLError):
        return handshake_failed(error)
    if isinstance(error, OSError):
        _raise_if_own_trouble({error.errno}, error)
    where = "in the middle of the body" if in_body else "before a response"
    return Failed(Reason.DISCONNECTED, f"the connection was closed {where}")


def unusable_url(*, redirected: bool) -> Failed:
    """Return that there is no request that could be sent for a URL."""
    what = "the redirect leads to an address that" if redirected else "the URL"
    return Failed(Reason.PROTOCOL_ERROR, f"{what} cannot be used")


def _raise_if_own_trouble(codes: AbstractSet[int | None], error: Exception) -> None:
    if own := OWN_TROUBLE & codes:
        raise OwnTroubleError(os.strerror(own.pop())) from error
