import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from monitor.config.checks import label_mistakes, metric_label
from monitor.config.model import MonitorSettings, WrittenConfig
from monitor.config.reading.load import ConfigError
from tests.config.conftest import Read

YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the three files, good ones."""
    folder = tmp_path / "ssl_kafka"
    folder.mkdir()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    write_client(folder, authority.issue_cert("client.example"))
    return folder


@pytest.fixture
def read(read: Read) -> Read:
    """Load a configuration with a site, and with a broker that is not embedded."""
    return partial(read, url_to_monitor="https://a.example/", kafka_bootstrap="kafka.example:9092")


@pytest.fixture
def refusal(read: Read, tmp_path: Path) -> Callable[..., list[str]]:
    """The mistakes, without the names of the file and of the folder."""

    def mistakes(**keys: Any) -> list[str]:
        with pytest.raises(ConfigError) as refused:
            read(**keys)
        return [
            line.removeprefix(f"{tmp_path}/config.json: ").replace(f"{tmp_path}/ssl_kafka/", "")
            for line in refused.value.mistakes
        ]

    return mistakes


Refusal = Callable[..., list[str]]


def write_client(folder: Path, certificate: trustme.LeafCert) -> None:
    certificate.private_key_pem.write_to_path(folder / "service.key")
    (folder / "service.cert").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))


def test_all_three_files_mean_tls(folder: Path, read: Read) -> None:
    config = read()

    assert (config.kafka_security_protocol, config.kafka_ssl_dir) == ("SSL", folder)


def test_no_files_mean_plaintext(read: Read) -> None:
    assert read().kafka_security_protocol == "PLAINTEXT"


def test_the_embedded_broker_has_no_use_for_the_files(folder: Path, read: Read) -> None:
    (folder / "ca.pem").write_text("spoilt")

    assert read(kafka_bootstrap="embedded").kafka_security_protocol == "PLAINTEXT"


@pytest.mark.parametrize(
    ("present", "missing"),
    [
        (["ca.pem"], "service.cert and service.key"),
        (["service.cert"], "ca.pem and service.key"),
        (["ca.pem", "service.key"], "service.cert"),
    ],
)
def test_some_of_the_files_are_a_mistake(
    folder: Path, refusal: Refusal, present: list[str], missing: str
) -> None:
    for path in folder.iterdir():
        if path.name not in present:
            path.unlink()

    assert refusal() == [
        f"kafka_ssl_dir: {missing} missing there; must have all of ca.pem, service.cert, service.key, or none"
    ]


def test_tls_that_is_asked_for_may_do_with_the_authorities_alone(folder: Path, read: Read) -> None:
    (folder / "service.cert").unlink()
    (folder / "service.key").unlink()

    assert read(kafka_security_protocol="SSL").kafka_security_protocol == "SSL"


def test_tls_that_is_asked_for_may_do_without_files(read: Read) -> None:
    assert read(kafka_security_protocol="SSL").kafka_security_protocol == "SSL"


def test_tls_that_is_asked_for_needs_a_key_to_its_certificate(folder: Path, refusal: Refusal) -> None:
    (folder / "service.key").unlink()

    assert refusal(kafka_security_protocol="SSL")[0].startswith("kafka_ssl_dir: service.key missing there;")


def test_plaintext_that_is_asked_for_ignores_the_files(folder: Path, read: Read) -> None:
    (folder / "ca.pem").write_text("spoilt")

    assert read(kafka_security_protocol="PLAINTEXT").kafka_security_protocol == "PLAINTEXT"


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_sasl_goes_with_its_three_keys(read: Read, protocol: str) -> None:
    config = read(
        kafka_security_protocol=protocol,
        kafka_sasl_mechanism="SCRAM-SHA-512",
        kafka_username="u",
        kafka_password="s3cret",  # noqa: S106 - a test's
    )

    assert config.kafka_security_protocol == protocol


def test_an_unknown_mechanism_is_reported_once(refusal: Refusal) -> None:
    assert refusal(kafka_security_protocol="SASL_SSL", kafka_sasl_mechanism="GSSAPI") == [
        "kafka_sasl_mechanism: not one of the choices; must be 'PLAIN', 'SCRAM-SHA-256' or 'SCRAM-SHA-512'"
    ]


def test_an_expired_certificate_is_a_mistake(folder: Path, refusal: Refusal) -> None:
    authority = trustme.CA()
    write_client(folder, authority.issue_cert("client.example", not_after=YESTERDAY))

    (line,) = refusal()

    assert line == (
        f"kafka_ssl_dir: the certificate in service.cert expired at {YESTERDAY.replace(microsecond=0)}; "
        "must be a valid one"
    )


def test_each_spoilt_file_is_named(folder: Path, refusal: Refusal) -> None:
    (folder / "ca.pem").write_text("spoilt")
    (folder / "service.cert").write_text("spoilt")

    assert refusal() == [
        "kafka_ssl_dir: no certificate in ca.pem; must be a PEM file with one or more",
        "kafka_ssl_dir: no certificate in service.cert; must be a PEM file with one or more",
    ]


def test_a_spoilt_key_is_named(folder: Path, refusal: Refusal) -> None:
    (folder / "service.key").write_text("spoilt")

    assert refusal() == ["kafka_ssl_dir: no private key in service.key; must be a PEM file with one"]


def test_a_directory_in_a_files_place_is_named(folder: Path, refusal: Refusal) -> None:
    (folder / "service.key").unlink()
    (folder / "service.key").mkdir()

    why = "a directory, not a regular file"
    assert refusal() == [f"kafka_ssl_dir: cannot read service.key ({why}); must be a readable PEM file"]


def test_a_key_with_a_password_is_named_and_none_is_asked_for(folder: Path, refusal: Refusal) -> None:
    key = load_pem_private_key((folder / "service.key").read_bytes(), None)
    (folder / "service.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"s3cret"))
    )

    assert refusal() == ["kafka_ssl_dir: the key in service.key has a password; must have none"]


def test_a_key_of_another_certificate_is_named(folder: Path, refusal: Refusal) -> None:
    trustme.CA().issue_cert("other.example").private_key_pem.write_to_path(folder / "service.key")

    assert refusal() == [
        "kafka_ssl_dir: service.cert with service.key: key values mismatch; must belong together"
    ]


def test_a_key_of_another_kind_is_named(folder: Path, refusal: Refusal) -> None:
    key = x25519.X25519PrivateKey.generate()
    (folder / "service.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    (line,) = refusal()

    assert line.startswith("kafka_ssl_dir: service.cert with service.key: ")


def test_a_key_that_openssl_calls_weak_is_named(folder: Path, refusal: Refusal) -> None:
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - what the test is about
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client.example")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(YESTERDAY)
        .not_valid_after(YESTERDAY + timedelta(days=9))
        .sign(key, hashes.SHA256())
    )
    (folder / "service.cert").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "service.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    assert refusal() == [
        "kafka_ssl_dir: service.cert with service.key: ee key too small; must belong together"
    ]


def test_a_monitors_own_certificate_may_have_its_key_in_the_same_file(folder: Path, read: Read) -> None:
    both = folder / "both.pem"
    both.write_bytes((folder / "service.cert").read_bytes() + (folder / "service.key").read_bytes())

    config = read(
        monitors=[
            {
                "url": "https://b.example/",
                "client_cert": "ssl_kafka/both.pem",
                "ca_file": str(folder / "ca.pem"),
            },
            {
                "url": "https://c.example/",
                "client_cert": "ssl_kafka/service.cert",
                "client_key": "ssl_kafka/service.key",
            },
        ]
    )

    _, b, c = config.monitors
    assert (b.client_cert, b.client_key, b.ca_file) == (both, None, folder / "ca.pem")
    assert (c.client_cert, c.client_key) == (folder / "service.cert", folder / "service.key")


def test_a_monitors_certificate_and_key_must_belong_together(folder: Path, refusal: Refusal) -> None:
    trustme.CA().issue_cert("other.example").private_key_pem.write_to_path(folder / "other.key")
    keys = {"client_cert": "ssl_kafka/service.cert", "client_key": "ssl_kafka/other.key"}

    assert refusal(monitors=[{"url": "https://b.example/", **keys}]) == [
        "monitors[0].client_cert: service.cert with other.key: key values mismatch; must belong together"
    ]


def labelled(*names: str) -> WrittenConfig:
    return WrittenConfig(defaults=MonitorSettings(labels=dict.fromkeys(names, "")))


@given(st.text(min_size=1))
def test_every_name_becomes_one_that_prometheus_allows(name: str) -> None:
    assert re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", metric_label(name))


@given(st.lists(st.text()))
def test_names_that_are_taken_stay_apart(names: list[str]) -> None:
    refused = {place[-1] for place, _ in label_mistakes(labelled(*names))}

    taken = set(names) - refused
    assert len({metric_label(name) for name in taken}) == len(taken)


@pytest.mark.parametrize("name", ["", "__name__", "é-x", "le", "monitor"])
def test_names_that_mean_something_else_are_refused(name: str) -> None:
    assert [place for place, _ in label_mistakes(labelled(name))] == [("defaults", "labels", name)]


def test_the_same_label_may_be_used_by_many(read: Read) -> None:
    monitors = [{"url": f"https://{name}.example/", "labels": {"team-name": name}} for name in "ab"]

    config = read(url_to_monitor=[], monitors=monitors, defaults={"labels": {"team-name": "c"}})

    assert [monitor.labels for monitor in config.monitors] == [{"team-name": "a"}, {"team-name": "b"}]


def test_a_token_opens_the_server_to_others(read: Read) -> None:
    assert read(web_host="0.0.0.0", web_token="t0ken").web_host == "0.0.0.0"  # noqa: S104, S106


def test_a_server_that_is_off_needs_no_token(read: Read) -> None:
    assert read(web_host="monitor.example", web_port=None).web_port is None


def test_proxies_of_the_environment_must_speak_http(read: Read) -> None:
    environ = {"HTTPS_PROXY": "socks5://me:s3cret@proxy.example:1", "http_proxy": "proxy.example:3128"}

    read(environ)
    with pytest.raises(ConfigError) as refused:
        read(environ, defaults={"proxy": "environment"})

    (mistake,) = refused.value.mistakes
    assert mistake.endswith(
        "config.json: defaults.proxy: what HTTPS_PROXY names cannot be used: not such a URL; must be http://HOST"
    )
