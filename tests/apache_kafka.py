"""Apache Kafka itself: brokers in KRaft mode, with plain, TLS and SASL listeners, from Maven."""

import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tests.freeze import freeze
from tests.leftovers import Watch
from tests.ports import free_ports

POM = Path(__file__).parent / "kafka" / "pom.xml"
VERSION = os.environ.get("KAFKA_VERSION")  # else that of the POM
LIBRARIES = POM.parent / "target" / (VERSION or "libraries")
SCRAM_SINCE = [3, 5]  # without ZooKeeper
_FAST = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=ERROR")
JAVA = ("java", *_FAST, "-cp", f"{LIBRARIES}/*")
PASSWORD = "pass word"  # noqa: S105 - of a broker that lives for a minute
LISTENERS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL", "EXPIRED", "CONTROLLER")
PROTOCOLS = {"EXPIRED": "SSL", "CONTROLLER": "PLAINTEXT"}
START_S = 180  # three at once on a busy machine
_WHICH_BROKERS = bytes.fromhex("0000000f 0003 0001 00000001 0001 74 00000000")

_PROPERTIES = """
process.roles=broker,controller
node.id={number}
controller.quorum.voters={voters}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listeners={listeners}
advertised.listeners={advertised}
listener.security.protocol.map={protocols}
log.dirs={directory}/logs
auto.create.topics.enable=false
broker.heartbeat.interval.ms=100
broker.session.timeout.ms={session_ms}
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=1
offsets.topic.replication.factor={brokers}
min.insync.replicas={in_sync}
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor={brokers}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.replication.factor={brokers}
share.coordinator.state.topic.min.isr={in_sync}
ssl.keystore.type=PEM
ssl.keystore.location={directory}/server.pem
ssl.truststore.type=PEM
ssl.truststore.location={directory}/ca.pem
ssl.client.auth=required
ssl.principal.mapping.rules=RULE:^.*$/tls/
listener.name.sasl_ssl.ssl.client.auth=none
listener.name.expired.ssl.keystore.type=PEM
listener.name.expired.ssl.keystore.location={directory}/expired.pem
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:tls;User:monitor
"""
_JAAS = """
listener.name.{0}.plain.sasl.jaas.config={1}.plain.PlainLoginModule required \\
    user_monitor="{2}" user_guest="{2}";
listener.name.{0}.scram-sha-256.sasl.jaas.config={1}.scram.ScramLoginModule required;
listener.name.{0}.scram-sha-512.sasl.jaas.config={1}.scram.ScramLoginModule required;
"""


class ApacheKafka:
    """One broker; it keeps its ports and its records when it is killed and started again.

    For one of several, `controllers` are the ports of all their controllers, and `number` is its own.
    """

    def __init__(
        self, directory: Path, number: int = 1, controllers: Sequence[int] = (), proxies: int = 1
    ) -> None:
        self.directory = directory
        self.number = number
        self.authority = trustme.CA()
        # Clients of the listeners PROXIED0, PROXIED1, ... are sent to these ports, where a test puts proxies.
        listeners = (*LISTENERS, *(f"PROXIED{place}" for place in range(proxies)))
        ports = free_ports(proxies + len(listeners))
        self.proxy_ports = ports[:proxies]
        self._ports = dict(zip(listeners, ports[proxies:], strict=True))
        self._controllers = controllers or [self._ports["CONTROLLER"]]
        self._ports["CONTROLLER"] = self._controllers[number - 1]
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False
        self._write_certificates()
        self._write_properties()
        has_scram = VERSION is None or [int(part) for part in VERSION.split(".")] >= SCRAM_SINCE
        scram = [f"{each}=[name=monitor,password={PASSWORD}]" for each in ("SCRAM-SHA-256", "SCRAM-SHA-512")]
        cluster = ("--cluster-id", "MkU3OEVBNTcwNTJENDM2Qg", "--config", str(directory / "properties"))
        added = [argument for each in scram if has_scram for argument in ("--add-scram", each)]
        formatted = subprocess.run(
            [*JAVA, "kafka.tools.StorageTool", "format", *cluster, *added],
            check=False,
            capture_output=True,
            text=True,
            timeout=START_S,
        )
        assert formatted.returncode == 0, formatted.stdout + formatted.stderr

    def bootstrap(self, listener: str, host: str = "127.0.0.1") -> str:
        return f"{host}:{self._ports[listener]}"

    def port(self, listener: str) -> int:
        return self._ports[listener]

    def client_files(self, directory: Path, authority: trustme.CA | None = None) -> None:
        """Put ca.pem, service.cert and service.key there, as a hosted Kafka hands them out."""
        certificate = (authority or self.authority).issue_cert("client@example.org")
        self.authority.cert_pem.write_to_path(directory / "ca.pem")
        (directory / "service.cert").write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
        certificate.private_key_pem.write_to_path(directory / "service.key")

    @property
    def runs(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        self.launch()
        self.until_it_answers()

    def launch(self) -> None:
        with (self.directory / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [*JAVA, "kafka.Kafka", self.directory / "properties"], stdout=output, stderr=output
            )

    def until_it_answers(self) -> None:
        assert self._process
        until = time.monotonic() + START_S
        while not self._answers():
            assert self._process.poll() is None, (self.directory / "output").read_text()[-4000:]
            assert time.monotonic() < until, "Apache Kafka does not answer"
            time.sleep(0.05)

    def stop(self) -> None:
        """End it as an administrator does: it hands over what it leads first."""
        if self._process:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process, self._paused = None, False

    def ensure_running(self) -> None:
        if self._paused:
            self.kill()
        if self._process is None:
            self.start()

    def pause(self) -> None:
        """Let it accept connections and never answer; the next test gets a new process."""
        assert self._process
        self._paused = True
        freeze(self._process.pid)

    def resume(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        with (
            suppress(OSError, struct.error),  # a part of an answer is none
            socket.create_connection(("127.0.0.1", self._ports["PLAINTEXT"]), 1) as client,
        ):
            client.sendall(_WHICH_BROKERS)
            _, _, brokers = struct.unpack(">iii", client.recv(12, socket.MSG_WAITALL))
            return bool(brokers)
        return False

    def _write_certificates(self) -> None:
        self.authority.cert_pem.write_to_path(self.directory / "ca.pem")
        past = datetime(2020, 1, 1, tzinfo=UTC)
        certificates = {
            "server.pem": self.authority.issue_cert("127.0.0.1"),
            "expired.pem": self.authority.issue_cert("127.0.0.1", not_before=past, not_after=past),
        }
        for name, certificate in certificates.items():
            key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
            key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
            (self.directory / name).write_bytes(key_pem + chain)

    def _write_properties(self) -> None:
        addresses = {name: self.bootstrap(name) for name in self._ports if name != "CONTROLLER"}
        addresses |= {f"PROXIED{place}": f"127.0.0.1:{port}" for place, port in enumerate(self.proxy_ports)}
        protocols = {name: "PLAINTEXT" if name.startswith("PROXIED") else name for name in self._ports}
        text = _PROPERTIES.format(
            directory=self.directory,
            number=self.number,
            voters=",".join(f"{n}@127.0.0.1:{port}" for n, port in enumerate(self._controllers, 1)),
            brokers=len(self._controllers),
            in_sync=min(2, len(self._controllers)),
            session_ms=1_000 if len(self._controllers) == 1 else 3_000,
            advertised=",".join(f"{name}://{address}" for name, address in addresses.items()),
            listeners=",".join(f"{name}://{self.bootstrap(name)}" for name in self._ports),
            protocols=",".join(f"{name}:{protocol}" for name, protocol in (protocols | PROTOCOLS).items()),
        )
        for listener in ("sasl_plaintext", "sasl_ssl"):
            text += _JAAS.format(listener, "org.apache.kafka.common.security", PASSWORD)
        (self.directory / "properties").write_text(text)


def need_java() -> None:
    """Get the broker; skip where the programs for that are missing, or fail in CI."""
    missing = [program for program in ("java", "mvn") if shutil.which(program) is None]
    if missing:
        reason = f"Apache Kafka needs {' and '.join(missing)}"
        pytest.fail(reason) if os.environ.get("REQUIRE_ALL") == "1" else pytest.skip(reason)
    resolve()


def resolve() -> None:
    if not list(LIBRARIES.glob("kafka-tools-*.jar")):
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={LIBRARIES}"]
        chosen = [f"-Dkafka.version={VERSION}"] if VERSION else []
        subprocess.run(["mvn", "-q", "-B", "-f", POM, *goal, *chosen], check=True, timeout=300)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of Apache Kafka the time that it may take to start, too."""
    for item in items:
        if item.get_closest_marker("kafka") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(START_S + 120))


@pytest.fixture(scope="session")
def _apache_kafka() -> Iterator[ApacheKafka]:
    need_java()
    with TemporaryDirectory(prefix="whm-kafka-") as name:
        kafka = ApacheKafka(Path(name))
        try:
            yield kafka
        finally:
            kafka.kill()


@pytest.fixture
def apache_kafka(_apache_kafka: ApacheKafka, _watch: Watch) -> Iterator[ApacheKafka]:
    """The broker, running; a test may kill or pause it, and start it again for those after it."""
    _apache_kafka.ensure_running()
    yield _apache_kafka
    if _apache_kafka._process:
        _watch.kept.add(("process", _apache_kafka._process.pid))
