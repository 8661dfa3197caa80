"""The reasons of results in words, as people read them in alerts."""

from monitor.result import Reason

_REASONS = {
    Reason.DNS_NOT_FOUND: "its name is not in DNS",
    Reason.DNS_ERROR: "DNS could not be asked",
    Reason.DNS_TIMEOUT: "DNS did not answer in time",
    Reason.CONNECT_REFUSED: "the connection was refused",
    Reason.CONNECT_UNREACHABLE: "the address cannot be reached",
    Reason.CONNECT_TIMEOUT: "no connection in time",
    Reason.CONNECT_ERROR: "no connection",
    Reason.TLS_EXPIRED: "the certificate has expired",
    Reason.TLS_HOSTNAME: "the certificate is for another name",
    Reason.TLS_UNTRUSTED: "the certificate is not trusted",
    Reason.TLS_SELF_SIGNED: "the certificate is self-signed",
    Reason.TLS_ERROR: "TLS failed",
    Reason.RESPONSE_TIMEOUT: "no response in time",
    Reason.BODY_TIMEOUT: "the body did not end in time",
    Reason.DISCONNECTED: "the connection was closed",
    Reason.PROTOCOL_ERROR: "the answer is not valid HTTP",
    Reason.TOO_MANY_REDIRECTS: "too many redirects",
    Reason.STATUS: "an unexpected status",
    Reason.HEADER: "an unexpected header",
    Reason.BODY: "an unexpected body",
    Reason.JSON: "unexpected JSON",
    Reason.BODY_TOO_LARGE: "the body is too large",
    Reason.TOO_SLOW: "too slow",
    Reason.CERTIFICATE_EXPIRING: "the certificate expires soon",
    Reason.BLOCKED_ADDRESS: "the address is not allowed",
    Reason.MONITOR_OFFLINE: "the monitor has no network",
}


def why(reason: str | None, detail: str | None) -> str:
    """Return a reason and its detail in words; a reason of a later version stays as it is."""
    words = _REASONS[Reason(reason)] if reason in set(Reason) else reason
    return ": ".join(part for part in (words, detail) if part) or "no reason is known"
