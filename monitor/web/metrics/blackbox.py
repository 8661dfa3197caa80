"""What a check found, in the words of blackbox_exporter: its names, units and values.

Pure. Source: blackbox_exporter's prober/http.go.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import ip_address

from monitor.config.expect import Expect
from monitor.config.model import Monitor
from monitor.probe.exchange.request import REDIRECTS
from monitor.probe.judging.expect import Response, status_in
from monitor.result import CheckResult, Reason, Tls
from monitor.web.metrics.exposition import Family, MetricSample, labels

PHASES = ("connect", "processing", "resolve", "tls", "transfer")

_HELP = {
    "probe_dns_lookup_time_seconds": "Returns the time taken for probe dns lookup in seconds",
    "probe_duration_seconds": "Returns how long the probe took to complete in seconds",
    "probe_failed_due_to_cel": "Indicates if probe failed due to CEL expression not matching",
    "probe_failed_due_to_regex": "Indicates if probe failed due to regex",
    "probe_http_content_length": "Length of http content response",
    "probe_http_duration_seconds": "Duration of http request by phase, summed over all redirects",
    "probe_http_last_modified_timestamp_seconds": "Last-Modified of the HTTP response in unixtime",
    "probe_http_redirects": "The number of redirects",
    "probe_http_ssl": "Indicates if SSL was used for the final redirect",
    "probe_http_status_code": "Response HTTP status code",
    "probe_http_uncompressed_body_length": "Length of uncompressed response body",
    "probe_http_version": "Returns the version of HTTP of the probe response",
    "probe_ip_addr_hash": "Specifies the hash of IP address, which tells when it changes",
    "probe_ip_protocol": "Specifies whether probe ip protocol is IP4 or IP6",
    "probe_ssl_earliest_cert_expiry": "Returns earliest SSL cert expiry in unixtime",
    "probe_ssl_last_chain_expiry_timestamp_seconds": "Returns last SSL chain expiry in timestamp",
    "probe_ssl_last_chain_info": "Contains SSL leaf certificate information",
    "probe_success": "Displays whether or not the probe was a success",
    "probe_timeout_seconds": "Returns how many seconds the probe had to finish",
    "probe_tls_cipher_info": "Returns the TLS cipher negotiated during handshake",
    "probe_tls_version_info": "Returns the TLS version used or NaN when unknown",
}
FAMILIES = tuple(Family(name, "gauge", text) for name, text in _HELP.items())

_UNVERIFIED = -62_135_596_800  # Go's zero time
_FNV_OFFSET, _FNV_PRIME = 2_166_136_261, 16_777_619
_ADDRESSES = 16_384  # hashes that are kept
_CIPHERS = 64  # names that are kept
_OPENSSL = re.compile(
    r"(?:(?P<exchange>ECDHE-ECDSA|ECDHE-RSA|DHE-RSA)-)?"
    r"(?:CHACHA20-POLY1305|AES(?P<bits>128|256)-(?:(?P<mode>GCM)-)?(?P<hash>SHA(?:256|384)?))"
)
_UNRESOLVED = frozenset({Reason.DNS_NOT_FOUND, Reason.DNS_ERROR, Reason.DNS_TIMEOUT})
_NOT_FOUND = frozenset({Reason.BODY, Reason.HEADER})
_INCOMPLETE = frozenset(
    {Reason.BODY_TIMEOUT, Reason.BODY_TOO_LARGE, Reason.DISCONNECTED, Reason.PROTOCOL_ERROR}
)

PHASE_COLUMNS = tuple(("probe_http_duration_seconds", labels(phase=phase)) for phase in PHASES)


def samples(result: CheckResult, monitor: Monitor, timeout_s: float) -> Iterator[MetricSample]:
    """Return what blackbox_exporter returns for such a check of the monitor.

    There is one difference: the earliest expiry is also there for a chain that failed verification, which is
    when people need it.
    """
    for name, value in gauges(result, monitor, timeout_s).items():
        if value is not None:
            yield name, "", value
    for (name, own), seconds in zip(PHASE_COLUMNS, phases(result), strict=True):
        if seconds is not None:
            yield name, own, seconds
    yield from tls_labels(result)


def gauges(result: CheckResult, monitor: Monitor, timeout_s: float) -> dict[str, float | None]:
    """Return the values that have no labels, always in the same order; `None` where there is no sample."""
    answered = result.response_status is not None
    tls = result.tls if answered else None
    length = -1 if result.content_length is None else result.content_length
    ip_version, ip_hash = _address(result.ip)
    return {
        "probe_success": int(result.up is True),
        "probe_duration_seconds": result.response_time,
        "probe_timeout_seconds": timeout_s,
        "probe_dns_lookup_time_seconds": result.phases.resolve or 0.0,
        "probe_ip_protocol": ip_version,
        "probe_ip_addr_hash": ip_hash,
        "probe_http_status_code": result.response_status or 0,
        "probe_http_version": float(result.http_version or 0),
        "probe_http_ssl": int(tls is not None),
        "probe_http_redirects": result.redirects + _leads_on(result, monitor),
        "probe_http_content_length": length if answered else 0,
        "probe_http_uncompressed_body_length": result.body_bytes,
        "probe_failed_due_to_regex": int(_failed_due_to_regex(result, monitor.expect)),
        "probe_failed_due_to_cel": int(result.reason == Reason.JSON) if monitor.asks_json else None,
        "probe_http_last_modified_timestamp_seconds": result.last_modified_at,
        "probe_ssl_earliest_cert_expiry": result.certificate_expires_at,
        "probe_ssl_last_chain_expiry_timestamp_seconds": None if tls is None else _chain_expires_at(tls),
    }


def _leads_on(result: CheckResult, monitor: Monitor) -> bool:
    """Return whether the response is a redirect that was not followed: that one counts as well."""
    if monitor.follow_redirects:
        return result.reason == Reason.TOO_MANY_REDIRECTS
    return result.response_status in REDIRECTS


def _failed_due_to_regex(result: CheckResult, expect: Expect) -> bool:
    """Return whether an expression failed, or could not be looked for because the body is not complete."""
    if result.reason in _NOT_FOUND:
        return True
    if result.reason not in _INCOMPLETE or not (expect.body_regex or expect.body_not_regex):
        return False
    return not any(status_in(expect.status).judge(Response(result.response_status or 0)))


def phases(result: CheckResult) -> tuple[float | None, ...]:
    """Return the seconds of each of `PHASES`; only `resolve` has some if that found no address."""
    seconds = result.phases
    resolve_s = seconds.resolve or 0.0
    if result.reason in _UNRESOLVED and seconds.connect is None:
        return None, None, resolve_s, None, None
    return (
        seconds.connect or 0.0,
        seconds.processing or 0.0,
        resolve_s,
        seconds.tls or 0.0,
        seconds.transfer or 0.0,
    )


def tls_labels(result: CheckResult) -> tuple[MetricSample, ...]:
    """Return the samples of which only the labels say something."""
    tls = result.tls
    if tls is None or result.response_status is None:
        return ()
    leaf = labels(
        fingerprint_sha256=tls.sha256,
        subject=tls.subject,
        issuer=tls.issuer,
        subjectalternative=tls.alternatives,
        serialnumber=tls.serial_number,
    )
    return (
        ("probe_ssl_last_chain_info", leaf, 1),
        ("probe_tls_version_info", labels(version=tls.version), 1),
        ("probe_tls_cipher_info", labels(cipher=standard_name(tls.cipher)), 1),
    )


@lru_cache(_CIPHERS)
def standard_name(cipher: str) -> str:
    """Return IANA's name of a cipher suite, as Go has it, for OpenSSL's; others stay as they are."""
    found = _OPENSSL.fullmatch(cipher)
    if found is None:
        return cipher
    exchange = (found["exchange"] or "RSA").replace("-", "_")
    if found["bits"] is None:
        return f"TLS_{exchange}_WITH_CHACHA20_POLY1305_SHA256"
    return f"TLS_{exchange}_WITH_AES_{found['bits']}_{found['mode'] or 'CBC'}_{found['hash']}"


def _chain_expires_at(tls: Tls) -> float:
    return _UNVERIFIED if tls.chain_expires_at is None else tls.chain_expires_at


@lru_cache(_ADDRESSES)
def _address(ip: str | None) -> tuple[int, int]:
    """Return the version and the hash of an address; making them costs as much as ten samples."""
    address = ip_address(ip) if ip else None
    return (address.version, fnv1a(address.packed)) if address else (0, 0)


def fnv1a(address: bytes) -> int:
    hashed = _FNV_OFFSET
    for byte in address:
        hashed = ((hashed ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    return hashed
