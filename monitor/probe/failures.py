"""The reason and the detail of a check that ended with an exception.

Own trouble (no file descriptor, port, thread or memory left) is no failure of the
site: it becomes an `OwnTroubleError`. Any other exception is a bug of ours and is raised
as it is. The details are written here, for a person. Texts of exceptions can contain URLs
with secrets, so only the peer's own words are taken from them, escaped and cut.
"""

import errno
import os
import re
import socket
import ssl
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from monitor.probe.addresses import NoAddressError
from monitor.probe.dns import OWN_TROUBLE
from monitor.probe.expect import Failure
from monitor.probe.protocol import HeadTooLongError
from monitor.probe.timing import Phase, Timing
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


def timed_out(timing: Timing, timeout_s: float) -> Failure:
    """Return what a check that ran out of time was waiting for."""
    reason, what = _TIMEOUT[timing.phase]
    return reason, f"{what} within {timeout_s:g} s"


def explain(error: Exception, timing: Timing) -> Failure:
    """Return the reason and the detail for one of `FAILURES`.

    Raises:
        OwnTroubleError: this machine is at fault.
        Exception: `error` itself, when it is a bug of ours.

    """
    return next(describe for kind, describe in _KINDS if isinstance(error, kind))(error, timing)


def drop_traceback(error: BaseException) -> None:
    """Remove the frames from an error that has been explained, and from its causes.

    Error and frames refer to each other. Only the garbage collector frees such cycles, and it stops the
    event loop while it looks for them.
    """
    last: BaseException | None = error
    while last is not None and last.__traceback__ is not None:
        last.__traceback__ = None
        last = last.__cause__ or last.__context__


def _dns_failed(error: aiohttp.ClientConnectorDNSError, _: Timing) -> Failure:
    cause = error.os_error
    if isinstance(cause, NoAddressError):
        return cause.reason, quoted(cause.detail)
    if not isinstance(cause, socket.gaierror):
        _raise_if_own_trouble({cause.errno}, error)
    elif cause.errno == socket.EAI_MEMORY:
        raise OwnTroubleError("no memory for a DNS look-up") from error
    elif cause.errno == socket.EAI_AGAIN:
        _raise_if_no_descriptor(error)
    elif cause.errno in _NOT_FOUND:
        return Reason.DNS_NOT_FOUND, f"DNS has no address of {quoted(error.host)}"
    return Reason.DNS_ERROR, f"the DNS look-up of {quoted(error.host)} failed: {cause.strerror}"


def _raise_if_no_descriptor(error: Exception) -> None:
    """Raise if there is no file descriptor left: then, too, `getaddrinfo` answers `EAI_AGAIN`."""
    try:
        socket.socket().close()
    except OSError as full:
        raise OwnTroubleError(str(full.strerror)) from error


def _certificate_refused(error: aiohttp.ClientConnectorCertificateError, _: Timing) -> Failure:
    cause = error.certificate_error
    code, message = getattr(cause, "verify_code", 0), getattr(cause, "verify_message", "")
    reason = _CERTIFICATE.get(code, Reason.TLS_UNTRUSTED)
    return reason, f"the certificate was not accepted: {quoted(message)}"


def _no_connection(error: aiohttp.ClientConnectorError, timing: Timing) -> Failure:
    cause = error.os_error
    if timing.phase is Phase.TLS:
        return _tls_failed(cause)
    # Where several addresses failed in several ways, their error numbers are only in the text.
    codes = {cause.errno, *map(int, re.findall(r"\[Errno (\d+)\]", str(cause)))}
    _raise_if_own_trouble(codes, error)
    where = f"{timing.ip or quoted(error.host)} port {error.port}"
    if codes == {errno.EADDRNOTAVAIL} and ":" not in where:
        raise OwnTroubleError("no local port left") from error
    for code, (reason, did) in _CONNECT.items():
        if code in codes:
            return reason, f"{where} {did}"
    return Reason.CONNECT_ERROR, f"{where} could not be connected to: {quoted(str(cause.strerror))}"


def _tls_failed(cause: object) -> Failure:
    what = tls_trouble(cause) if isinstance(cause, ssl.SSLError) else "the connection was closed"
    return Reason.TLS_ERROR, f"the TLS handshake failed: {quoted(what)}"


def _raise_if_own_trouble(codes: AbstractSet[int | None], error: Exception) -> None:
    if own := OWN_TROUBLE & codes:
        raise OwnTroubleError(os.strerror(own.pop())) from error


def _body_broken(error: aiohttp.ClientPayloadError, _: Timing) -> Failure:
    if str(error).startswith("Response payload is not completed"):
        return Reason.DISCONNECTED, "the connection was closed in the middle of the body"
    return Reason.PROTOCOL_ERROR, "the body is not encoded as its headers say"


def _connection_lost(error: Exception, timing: Timing) -> Failure:
    for each in (error, error.__cause__):
        if isinstance(each, ssl.SSLError):
            return _tls_failed(each)
    _raise_if_own_trouble({getattr(error, "errno", None)}, error)
    where = "in the middle of the body" if timing.phase is Phase.TRANSFER else "before a response"
    return Reason.DISCONNECTED, f"the connection was closed {where}"


def _proxy_refused(error: aiohttp.ClientHttpProxyError, _: Timing) -> Failure:
    return Reason.CONNECT_ERROR, f"the proxy answered {error.status} to CONNECT"


def _invalid_http(error: aiohttp.ClientResponseError | HttpProcessingError, _: Timing) -> Failure:
    return Reason.PROTOCOL_ERROR, f"not valid HTTP: {quoted(error.message)}"


def _head_too_long(error: HeadTooLongError, _: Timing) -> Failure:
    return Reason.PROTOCOL_ERROR, str(error)


def _unusable_url(error: Exception, timing: Timing) -> Failure:
    if not timing.connections:
        raise error
    redirected = timing.phase is Phase.PROCESSING or timing.connections > 1
    what = "the redirect leads to an address that" if redirected else "the URL"
    return Reason.PROTOCOL_ERROR, f"{what} cannot be used"


def _no_thread(error: RuntimeError, timing: Timing) -> Failure:
    if timing.phase in (Phase.RESOLVE, Phase.CONNECT):
        raise OwnTroubleError(str(error)) from error
    raise error


def _no_memory(error: MemoryError, _: Timing) -> Failure:
    raise OwnTroubleError("no memory left") from error


# First match wins: aiohttp's certificate and DNS errors are connector errors too.
_KINDS: tuple[tuple[type[Exception], Callable[[Any, Timing], Failure]], ...] = (
    (aiohttp.ClientConnectorDNSError, _dns_failed),
    (aiohttp.ClientConnectorCertificateError, _certificate_refused),
    (aiohttp.ClientConnectorError, _no_connection),
    (aiohttp.ClientHttpProxyError, _proxy_refused),
    (aiohttp.ClientResponseError, _invalid_http),
    (HttpProcessingError, _invalid_http),
    (HeadTooLongError, _head_too_long),
    (aiohttp.ClientPayloadError, _body_broken),
    (aiohttp.ClientOSError, _connection_lost),
    (aiohttp.ClientConnectionResetError, _connection_lost),
    (aiohttp.ServerDisconnectedError, _connection_lost),
    (aiohttp.RedirectClientError, _unusable_url),
    (ValueError, _unusable_url),
    (RuntimeError, _no_thread),
    (MemoryError, _no_memory),
)

FAILURES = tuple(kind for kind, _ in _KINDS)
