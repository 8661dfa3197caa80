"""What Prometheus reads of a check, beside what blackbox_exporter 0.23 returned for the same sites."""

import ssl
from typing import Any
from uuid import UUID

import msgspec
import pytest

from monitor.config.expect import Expect
from monitor.config.model import Monitor
from monitor.result import CheckResult, Phases, Tls
from monitor.web.metrics.blackbox import FAMILIES, fnv1a, samples, standard_name

ALWAYS = {
    "probe_dns_lookup_time_seconds",
    "probe_duration_seconds",
    "probe_failed_due_to_regex",
    "probe_http_content_length",
    "probe_http_redirects",
    "probe_http_ssl",
    "probe_http_status_code",
    "probe_http_uncompressed_body_length",
    "probe_http_version",
    "probe_ip_addr_hash",
    "probe_ip_protocol",
    "probe_success",
    "probe_timeout_seconds",
}
PHASES = {
    f'probe_http_duration_seconds phase="{phase}"'
    for phase in ("connect", "processing", "resolve", "tls", "transfer")
}
TLS = Tls(
    version="TLS 1.3",
    cipher="TLS_AES_256_GCM_SHA384",
    sha256="ab12",
    subject='CN="quoted"',
    issuer="CN=CA",
    alternatives="a.example,b.example",
    serial_number="0f",
    chain_expires_at=1_800_000_000.0,
)


def result(**changes: Any) -> CheckResult:
    return CheckResult(
        **{
            "timestamp": 1.5,
            "response_data": "",
            "response_status": 200,
            "response_time": 0.25,
            "id": UUID(int=0),
            "monitor": "site",
            "url": "http://a.example/",
            "location": "here",
            "scheduled_at": 1.0,
            "up": True,
            "phases": Phases(resolve=0.01, connect=0.02, processing=0.03, transfer=0.04),
            "redirects": 2,
            "http_version": "1.1",
            "ip": "127.0.0.1",
            "body_bytes": 261,
            "content_length": 200,
            **changes,
        }
    )


def exported(found: CheckResult, **settings: Any) -> dict[str, float]:
    site = Monitor(name="site", url="http://a.example/", **settings)
    return {f"{name} {labels}".strip(): value for name, labels, value in samples(found, site, 9.5)}


def test_a_site_that_is_up() -> None:
    assert exported(result()) == {
        "probe_dns_lookup_time_seconds": 0.01,
        "probe_duration_seconds": 0.25,
        "probe_failed_due_to_regex": 0,
        "probe_http_content_length": 200,
        'probe_http_duration_seconds phase="connect"': 0.02,
        'probe_http_duration_seconds phase="processing"': 0.03,
        'probe_http_duration_seconds phase="resolve"': 0.01,
        'probe_http_duration_seconds phase="tls"': 0,
        'probe_http_duration_seconds phase="transfer"': 0.04,
        "probe_http_redirects": 2,
        "probe_http_ssl": 0,
        "probe_http_status_code": 200,
        "probe_http_uncompressed_body_length": 261,
        "probe_http_version": 1.1,
        "probe_ip_addr_hash": 3_668_918_509,
        "probe_ip_protocol": 4,
        "probe_success": 1,
        "probe_timeout_seconds": 9.5,
    }


def test_a_site_that_refuses_the_connection() -> None:
    found = exported(
        result(
            up=False,
            reason="connect_refused",
            response_status=None,
            http_version=None,
            redirects=0,
            body_bytes=0,
            content_length=None,
            phases=Phases(connect=0.02),
        )
    )

    assert found.keys() == ALWAYS | PHASES
    assert {name for name, value in found.items() if value} == {
        "probe_duration_seconds",
        'probe_http_duration_seconds phase="connect"',
        "probe_ip_addr_hash",
        "probe_ip_protocol",
        "probe_timeout_seconds",
    }


@pytest.mark.parametrize("reason", ["dns_not_found", "dns_error", "dns_timeout"])
def test_a_name_that_does_not_resolve_has_no_other_phase(reason: str) -> None:
    found = exported(
        result(up=False, reason=reason, response_status=None, ip=None, phases=Phases(resolve=0.01))
    )

    assert found.keys() == ALWAYS | {'probe_http_duration_seconds phase="resolve"'}
    assert found["probe_dns_lookup_time_seconds"] == 0.01
    assert found["probe_ip_protocol"] == found["probe_ip_addr_hash"] == 0


def test_a_redirect_to_a_name_that_does_not_resolve_has_all_phases() -> None:
    assert exported(result(up=False, reason="dns_not_found", response_status=None)).keys() == ALWAYS | PHASES


def test_a_response_without_a_length_has_an_unknown_one() -> None:
    assert exported(result(content_length=None))["probe_http_content_length"] == -1


def test_ipv6() -> None:
    found = exported(result(ip="::1"))

    assert (found["probe_ip_protocol"], found["probe_ip_addr_hash"]) == (6, 1_751_717_746)


def test_the_hash_is_fnv_1a() -> None:
    assert [fnv1a(text) for text in (b"", b"a", b"foobar")] == [0x811C9DC5, 0xE40C292C, 0xBF9CF968]


@pytest.mark.parametrize(("reason", "failed"), [("body", 1), ("header", 1), ("status", 0), ("json", 0)])
def test_a_text_that_was_not_found_is_a_failure_of_its_own(reason: str, failed: int) -> None:
    assert exported(result(up=False, reason=reason))["probe_failed_due_to_regex"] == failed


@pytest.mark.parametrize("reason", ["body_timeout", "body_too_large", "disconnected", "protocol_error"])
@pytest.mark.parametrize("key", ["body_regex", "body_not_regex"])
def test_a_text_cannot_be_found_in_a_body_that_does_not_end(reason: str, key: str) -> None:
    def failed(code: int | None, **expect: Any) -> float:
        cut_off = result(up=False, reason=reason, response_status=code)
        return exported(cut_off, expect=Expect(**expect))["probe_failed_due_to_regex"]

    text: Any = {key: ("welcome",)}
    assert failed(200, **text) == failed(404, status=("404",), **text) == 1
    assert failed(404, **text) == failed(None, **text) == failed(200) == 0


def test_a_text_that_was_not_looked_for_is_no_failure_of_its_own() -> None:
    expect = Expect(body_regex=("welcome",))

    assert exported(result(up=False, reason="too_slow"), expect=expect)["probe_failed_due_to_regex"] == 0


@pytest.mark.parametrize(
    ("status", "follow_redirects", "reason", "redirects"),
    [
        (302, False, None, 1),
        (308, False, "status", 1),
        (304, False, None, 0),
        (200, False, None, 0),
        (None, False, "connect_refused", 0),
        (302, True, "too_many_redirects", 1),
        (302, True, None, 0),
    ],
)
def test_a_redirect_that_is_not_followed_counts(
    status: int | None, follow_redirects: bool, reason: str | None, redirects: int
) -> None:
    found = result(response_status=status, reason=reason, redirects=4)

    assert exported(found, follow_redirects=follow_redirects)["probe_http_redirects"] == 4 + redirects


def test_conditions_on_json_are_exported_where_there_are_some() -> None:
    name = "probe_failed_due_to_cel"

    assert name not in exported(result())
    assert exported(result(), expect=Expect(json=("ok",)))[name] == 0
    assert exported(result(up=False, reason="json"), expect=Expect(json=("ok",)))[name] == 1


def test_the_age_of_the_page_is_exported_where_it_is_known() -> None:
    found = exported(result(last_modified_at=1_700_000_000.0))

    assert found["probe_http_last_modified_timestamp_seconds"] == 1_700_000_000


def test_tls() -> None:
    found = exported(result(tls=TLS, certificate_expires_at=1_790_000_000.0))

    leaf = (
        'fingerprint_sha256="ab12",subject="CN=\\"quoted\\"",issuer="CN=CA",'
        'subjectalternative="a.example,b.example",serialnumber="0f"'
    )
    assert found.keys() - ALWAYS - PHASES == {
        "probe_ssl_earliest_cert_expiry",
        "probe_ssl_last_chain_expiry_timestamp_seconds",
        f"probe_ssl_last_chain_info {leaf}",
        'probe_tls_cipher_info cipher="TLS_AES_256_GCM_SHA384"',
        'probe_tls_version_info version="TLS 1.3"',
    }
    assert found["probe_http_ssl"] == found[f"probe_ssl_last_chain_info {leaf}"] == 1
    assert found["probe_ssl_earliest_cert_expiry"] == 1_790_000_000
    assert found["probe_ssl_last_chain_expiry_timestamp_seconds"] == 1_800_000_000


def test_a_chain_that_expired_at_the_epoch_is_a_verified_one() -> None:
    found = exported(result(tls=msgspec.structs.replace(TLS, chain_expires_at=0.0)))

    assert found["probe_ssl_last_chain_expiry_timestamp_seconds"] == 0


def test_a_chain_that_nobody_verified_has_go_s_zero_time() -> None:
    unverified = msgspec.structs.replace(TLS, chain_expires_at=None)

    assert (
        exported(result(tls=unverified))["probe_ssl_last_chain_expiry_timestamp_seconds"] == -62_135_596_800
    )


def test_a_certificate_that_failed_has_its_expiry_and_nothing_else() -> None:
    refused = msgspec.structs.replace(TLS, version="", cipher="", chain_expires_at=None)
    found = exported(
        result(
            up=False,
            reason="tls_expired",
            response_status=None,
            tls=refused,
            certificate_expires_at=1_600_000_000.0,
        )
    )

    assert found.keys() - ALWAYS - PHASES == {"probe_ssl_earliest_cert_expiry"}
    assert found["probe_ssl_earliest_cert_expiry"] == 1_600_000_000
    assert found["probe_http_ssl"] == 0


def test_every_family_is_described() -> None:
    found = result(tls=TLS, certificate_expires_at=1.0, last_modified_at=1.0)

    names = {each.partition(" ")[0] for each in exported(found, expect=Expect(json=("ok",)))}

    assert names == {family.name for family in FAMILIES if family.help}


@pytest.mark.parametrize(
    ("name", "standard"),
    [  # from `openssl ciphers -stdname`
        ("TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
        ("ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        ("ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
        ("ECDHE-ECDSA-AES256-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384"),
        ("DHE-RSA-AES128-SHA256", "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256"),
        ("ECDHE-RSA-AES128-SHA", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"),
        ("AES256-GCM-SHA384", "TLS_RSA_WITH_AES_256_GCM_SHA384"),
        ("AES128-SHA", "TLS_RSA_WITH_AES_128_CBC_SHA"),
        ("ADH-AES128-SHA", "ADH-AES128-SHA"),
        ("", ""),
    ],
)
def test_a_cipher_suite_has_its_standard_name(name: str, standard: str) -> None:
    assert standard_name(name) == standard


def test_every_cipher_suite_that_a_check_offers_has_a_standard_name() -> None:
    offered = [cipher["name"] for cipher in ssl.create_default_context().get_ciphers()]

    assert [name for name in offered if not standard_name(name).startswith("TLS_")] == []
