"""TLS to a PostgreSQL server from Debian: the one that comes with the program has none."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from monitor.storage.database import StoreUnavailableError
from tests.ports import free_ports
from tests.postgres import DEBIAN, PostgresServer, migrated

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(not DEBIAN.exists(), reason=f"no PostgreSQL server in {DEBIAN}"),
]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def address(authority: trustme.CA) -> Iterator[str]:
    """A server with a certificate for `localhost`; the role `certified` needs a certificate of its own."""
    server = PostgresServer(DEBIAN)
    try:
        authority.cert_pem.write_to_path(server.directory / "ca.pem")
        issued = authority.issue_cert("localhost")
        issued.cert_chain_pems[0].write_to_path(server.directory / "server.crt")
        issued.private_key_pem.write_to_path(server.directory / "server.key")
        for name in ("ca.pem", "server.crt", "server.key"):
            (server.directory / name).chmod(0o600)
            server.give(server.directory / name)
        (server.directory / "cluster/pg_hba.conf").write_text(
            "hostssl all certified all cert\nhostssl all all all trust\nlocal all all trust\n"
        )
        (port,) = free_ports(1)
        server.start(
            "listen_addresses=127.0.0.1",
            f"port={port}",
            "ssl=on",
            f"ssl_ca_file={server.directory}/ca.pem",
            f"ssl_cert_file={server.directory}/server.crt",
            f"ssl_key_file={server.directory}/server.key",
        )
        yield f"localhost:{port}"
    finally:
        server.remove()


async def connect(uri: str) -> None:
    await migrated(uri)


@pytest.fixture
def ca_file(tmp_path: Path, authority: trustme.CA) -> Path:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


@pytest.fixture
def other_ca_file(tmp_path: Path) -> Path:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    return tmp_path / "other.pem"


async def test_sslmode_require_needs_no_trust(address: str) -> None:
    await connect(f"postgres://postgres@{address}/postgres?sslmode=require")


async def test_without_tls_this_server_is_not_for_us(address: str) -> None:
    with pytest.raises(StoreUnavailableError, match="no encryption"):
        await connect(f"postgres://postgres@{address}/postgres?sslmode=disable")


async def test_verify_full_takes_the_authority_that_is_named(address: str, ca_file: Path) -> None:
    await connect(f"postgres://postgres@{address}/postgres?sslmode=verify-full&sslrootcert={ca_file}")


@pytest.mark.parametrize("mode", ["verify-full", "verify-ca"])
async def test_verify_refuses_another_authority_in_one_line(
    address: str, other_ca_file: Path, mode: str
) -> None:
    with pytest.raises(StoreUnavailableError, match="certificate verify failed") as refused:
        await connect(
            f"postgres://postgres:s3cret@{address}/postgres?sslmode={mode}&sslrootcert={other_ca_file}"
        )

    assert "\n" not in str(refused.value)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("trust", ["", "&sslrootcert=system", "&sslrootcert={ca_file}"])
async def test_verify_full_refuses_another_host_in_one_line(
    address: str, ca_file: Path, monkeypatch: pytest.MonkeyPatch, trust: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    wrong = address.replace("localhost", "127.0.0.1")

    with pytest.raises(StoreUnavailableError, match=r"not valid for '127\.0\.0\.1'") as refused:
        await connect(
            f"postgres://postgres@{wrong}/postgres?sslmode=verify-full{trust.format(ca_file=ca_file)}"
        )

    assert "\n" not in str(refused.value)


async def test_verify_without_a_named_authority_takes_those_of_the_system(
    address: str, ca_file: Path, other_ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    await connect(f"postgres://postgres@{address}/postgres?sslmode=verify-full")
    await connect(
        f"postgres://postgres@{address.replace('localhost', '127.0.0.1')}/postgres?sslmode=verify-ca"
    )

    monkeypatch.setenv("SSL_CERT_FILE", str(other_ca_file))
    with pytest.raises(StoreUnavailableError, match="certificate verify failed"):
        await connect(f"postgres://postgres@{address}/postgres?sslmode=verify-full")


async def test_a_certificate_of_the_client_goes_with_the_trust_of_the_system(
    address: str, authority: trustme.CA, ca_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    issued = authority.issue_cert("client.example", common_name="certified")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")

    with pytest.raises(StoreUnavailableError, match=r'role "certified" does not exist'):
        await connect(
            f"postgres://certified@{address}/postgres?sslmode=verify-full&sslcert={tmp_path}/client.pem"
        )
