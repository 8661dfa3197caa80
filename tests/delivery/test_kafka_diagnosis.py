"""The reasons why TLS with Kafka fails; a server of TLS alone is enough for that."""

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
import trustme

from monitor.config.model import Config
from monitor.delivery.kafka.diagnosis import diagnosis

SERVER = trustme.CA()


def client(folder: Path, authority: trustme.CA = SERVER, *, certificate: bool = True) -> Config:
    authority.cert_pem.write_to_path(folder / "ca.pem")
    if certificate:
        issued = authority.issue_cert("client@example.org")
        issued.cert_chain_pems[0].write_to_path(folder / "service.cert")
        issued.private_key_pem.write_to_path(folder / "service.key")
    return Config(monitors=(), kafka_ssl_dir=folder, kafka_security_protocol="SSL")


def shake_hands(listening: socket.socket, context: ssl.SSLContext) -> None:
    """Serve until the listening socket ends; a refusal is sent before the connection ends."""
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as tls:
            try:
                tls.do_handshake()
            except ssl.SSLError:
                with suppress(OSError):  # the client has left already
                    tls.shutdown(socket.SHUT_WR)
                    os.read(tls.fileno(), 65536)


@pytest.fixture
def server() -> Iterator[str]:
    """Listen with a certificate for 127.0.0.1, and want one of the same authority from clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # a refusal shows in the handshake
    SERVER.issue_cert("127.0.0.1").configure_cert(context)
    SERVER.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=shake_hands, args=(listening, context))
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


async def test_an_authority_that_did_not_sign_the_broker_is_named(tmp_path: Path, server: str) -> None:
    config = client(tmp_path, trustme.CA())

    reason = await diagnosis(config, server)

    assert reason
    assert reason.startswith(f"{server}: its certificate is not accepted: ")
    assert reason.endswith(f"trusted are those of {tmp_path / 'ca.pem'}")


async def test_without_an_authority_of_its_own_the_systems_are_named(tmp_path: Path, server: str) -> None:
    config = Config(monitors=(), kafka_ssl_dir=tmp_path, kafka_security_protocol="SSL")

    reason = await diagnosis(config, server)

    assert reason
    assert reason.endswith(f"trusted are the system's, as {tmp_path / 'ca.pem'} is missing")


@pytest.mark.parametrize("certificate", [True, False])
async def test_a_handshake_that_fails_names_the_clients_certificate(
    tmp_path: Path, server: str, *, certificate: bool
) -> None:
    config = client(tmp_path, certificate=certificate)
    if certificate:
        issued = trustme.CA().issue_cert("client@example.org")
        issued.cert_chain_pems[0].write_to_path(tmp_path / "service.cert")
        issued.private_key_pem.write_to_path(tmp_path / "service.key")

    reason = await diagnosis(config, server)

    path = tmp_path / "service.cert"
    shown = str(path) if certificate else f"none, as {path} is missing"
    assert reason
    assert reason.startswith(f"{server}: TLS fails: ")
    assert reason.endswith(f"the client's certificate is {shown}")
