"""A server of one's own, as `deploy/server/` and the documentation set it up."""

import asyncio
import contextlib
import re
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from monitor.config.model import Config
from monitor.delivery.kafka.access import security
from tests.apache_kafka import JAVA, START_S, need_java
from tests.ports import free_ports
from tests.program import ROOT, Program, Start, need

SERVER = ROOT / "deploy/server"
PAGE = (ROOT / "docs/deploy.md").read_text()


def documented(name: str) -> str:
    block = re.search(f"<!-- {name} -->\n```sh\n(.*?)```", PAGE, re.DOTALL)
    assert block
    return block[1]


def certificates(folder: Path, *hosts: str) -> "subprocess.CompletedProcess[str]":
    command = [SERVER / "certificates.sh", folder]
    return subprocess.run([*command, *hosts], check=False, capture_output=True, text=True)


def test_the_certificates_are_those_of_the_hosts_and_of_the_program(tmp_path: Path) -> None:
    assert certificates(tmp_path / "ssl", "kafka.example", "db.example").returncode == 0
    folder = tmp_path / "ssl"
    trusting = ssl.create_default_context(cafile=folder / "ca.pem")
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT
    showing = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.pem")
    showing.verify_mode = ssl.CERT_REQUIRED
    showing.load_cert_chain(folder / "server.pem")
    trusting.load_cert_chain(folder / "service.cert", folder / "service.key")

    for host in ("kafka.example", "db.example"):
        assert common_names(trusting, showing, host) == ("server", "website-health")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        common_names(trusting, showing, "other.example")


def common_names(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> tuple[str, str]:
    """Return the names in the certificates that a server and a client show to each other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server, server_hostname=host)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):
        for each in (asking, answering):
            with contextlib.suppress(ssl.SSLWantReadError):
                each.do_handshake()
    shown: list[Any] = [asking.getpeercert(), answering.getpeercert()]
    server_name, client_name = (dict(names[0] for names in each["subject"])["commonName"] for each in shown)
    return server_name, client_name


def test_an_authority_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    certificates(tmp_path, "localhost")
    authority = (tmp_path / "ca.pem").read_text()

    again = certificates(tmp_path, "localhost")

    assert (again.returncode, again.stderr.count("is there already")) == (1, 1)
    assert (tmp_path / "ca.pem").read_text() == authority


@pytest.mark.clients
def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    need("promtool")
    (tmp_path / "prometheus.yml").write_text((SERVER / "prometheus.yml").read_text())
    (tmp_path / "alerts.yml").write_text((ROOT / "grafana/alerts.yml").read_text())

    subprocess.run(
        ["promtool", "check", "config", tmp_path / "prometheus.yml"], check=True, capture_output=True
    )


@pytest.mark.clients
def test_systemd_understands_the_unit_of_kafka(tmp_path: Path) -> None:
    need("systemd-analyze")
    unit = (SERVER / "kafka.service").read_text()
    (tmp_path / "kafka.service").write_text(re.sub("ExecStart=[^ ]+", "ExecStart=/bin/true", unit))

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / "kafka.service"],
        check=False,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Apache Kafka with the shipped properties and the documented rights; yields the settings for it."""
    need_java()
    ports = free_ports(2)
    assert certificates(tmp_path / "ssl", "localhost").returncode == 0
    properties = (SERVER / "kafka.properties").read_text()
    places = {"9093": str(ports[0]), "9094": str(ports[1]), "/etc/kafka": str(tmp_path / "ssl")}
    places |= {"/var/lib/kafka": str(tmp_path / "log")}
    for each, place in places.items():
        assert each in properties
        properties = properties.replace(each, place)
    (tmp_path / "properties").write_text(properties)
    cluster = ("--cluster-id", "MkU3OEVBNTcwNTJENDM2Qg", "--config", tmp_path / "properties")
    subprocess.run([*JAVA, "kafka.tools.StorageTool", "format", *cluster], check=True, capture_output=True)
    with (
        (tmp_path / "output").open("ab") as output,
        subprocess.Popen([*JAVA, "kafka.Kafka", tmp_path / "properties"], stdout=output, stderr=output) as it,
    ):
        try:
            allow(tmp_path / "properties", str(ports[0]))
            yield {
                "kafka_bootstrap": f"localhost:{ports[0]}",
                "kafka_ssl_dir": str(tmp_path / "ssl"),
                "location": "vienna",
            }
        finally:
            it.kill()


def allow(properties: Path, port: str) -> None:
    """Run the documented commands; the first one waits until Kafka is there."""
    tool = " ".join([*JAVA[:-1], f"'{JAVA[-1]}'", "org.apache.kafka.tools.AclCommand"])
    commands = documented("acls")
    places = {"/opt/kafka/bin/kafka-acls.sh": tool, "/etc/kafka/kafka.properties": str(properties)}
    for each, place in (places | {":9093": f":{port}"}).items():
        assert each in commands
        commands = commands.replace(each, place)
    subprocess.run(["sh", "-e", "-c", commands], check=True, capture_output=True, timeout=START_S)


async def send_no_result(settings: dict[str, Any]) -> None:
    config = Config(monitors=(), **settings | {"kafka_security_protocol": "SSL"})
    async with AIOKafkaProducer(bootstrap_servers=config.kafka_bootstrap, **security(config)) as producer:
        await producer.send_and_wait(config.kafka_topic, b"no result", key=b"shop")


@pytest.mark.kafka
def test_the_program_needs_no_more_rights_than_documented(
    program: Start, kafka: dict[str, Any], empty_database: str
) -> None:
    sites = [{"name": "shop", "url": "http://127.0.0.1:1/", "interval_s": 0.5}]
    settings = kafka | {"pg_uri": empty_database, "monitors": sites}
    monitor = program(**settings)
    monitor.start()
    monitor.prints("checks are shared; processes: 1, shards of this one: 64 of 64")
    monitor.prints("incident 1 opened")
    asyncio.run(send_no_result(kafka))
    monitor.prints("it goes to website_health.dead")
    replayed = Program(monitor.folder, settings).run("--replay-dead-letters")
    monitor.prints("it goes to website_health.dead", times=2)

    assert replayed == (0, "website_health.dead: replayed 1\n")
    assert monitor.stop() == 0
    assert "AuthorizationFailed" not in monitor.printed()
