"""What a check found, in the words of blackbox_exporter: its names, units and values.

Pure. Source: blackbox_exporter's prober/http.go.
"""

from collections.abc import Iterator
from ipaddress import ip_address

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
_PHASE_LABELS = {phase: labels(phase=phase) for phase in PHASES}


def samples(result: CheckResult, timeout_s: float, *, json_asked: bool) -> Iterator[MetricSample]:
    """Return what blackbox_exporter returns for such a check.

    There is one difference: the earliest expiry is also there for a chain that failed verification, which is
    when people need it.
    """
    answered = result.response_status is not None
    resolve_s = result.phases.resolve or 0.0
    yield "probe_success", "", int(result.up is True)
    yield "probe_duration_seconds", "", result.response_time
    yield "probe_timeout_seconds", "", timeout_s
    yield "probe_dns_lookup_time_seconds", "", resolve_s
    yield "probe_ip_protocol", "", ip_address(result.ip).version if result.ip else 0
    yield "probe_ip_addr_hash", "", fnv1a(ip_address(result.ip).packed) if result.ip else 0
    yield "probe_http_status_code", "", result.response_status or 0
    yield "probe_http_version", "", float(result.http_version or 0)
    yield "probe_http_ssl", "", int(answered and result.tls is not None)
    yield "probe_http_redirects", "", result.redirects
    length = result.content_length
    yield "probe_http_content_length", "", (-1 if length is None else length) if answered else 0
    yield "probe_http_uncompressed_body_length", "", result.body_bytes
    yield "probe_failed_due_to_regex", "", int(result.reason in {Reason.BODY, Reason.HEADER})
    if json_asked:
        yield "probe_failed_due_to_cel", "", int(result.reason == Reason.JSON)
    if result.last_modified_at is not None:
        yield "probe_http_last_modified_timestamp_seconds", "", result.last_modified_at
    yield from _phases(result)
    if result.certificate_expires_at is not None:
        yield "probe_ssl_earliest_cert_expiry", "", result.certificate_expires_at
    if answered and result.tls is not None:
        yield from _tls(result.tls)


def fnv1a(address: bytes) -> int:
    hashed = _FNV_OFFSET
    for byte in address:
        hashed = ((hashed ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    return hashed


def _phases(result: CheckResult) -> Iterator[MetricSample]:
    phases = result.phases
    unresolved = result.reason in {Reason.DNS_NOT_FOUND, Reason.DNS_ERROR, Reason.DNS_TIMEOUT}
    for phase in ("resolve",) if unresolved and phases.connect is None else PHASES:
        yield "probe_http_duration_seconds", _PHASE_LABELS[phase], getattr(phases, phase) or 0.0


def _tls(tls: Tls) -> Iterator[MetricSample]:
    expires_at = _UNVERIFIED if tls.chain_expires_at is None else tls.chain_expires_at
    yield "probe_ssl_last_chain_expiry_timestamp_seconds", "", expires_at
    yield (
        "probe_ssl_last_chain_info",
        labels(
            fingerprint_sha256=tls.sha256,
            subject=tls.subject,
            issuer=tls.issuer,
            subjectalternative=tls.alternatives,
            serialnumber=tls.serial_number,
        ),
        1,
    )
    yield "probe_tls_version_info", labels(version=tls.version), 1
    yield "probe_tls_cipher_info", labels(cipher=tls.cipher), 1
