"""The site and the program as processes of their own, the CPU time of the program, and its rows."""

import asyncio
import json
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import trustme

ROOT = Path(__file__).parent.parent


@contextmanager
def site(delay_s: float = 0.0, certificate: Path | None = None) -> Iterator[str]:
    """Run the site of `benchmarks.site`; yield its URL."""
    command = [sys.executable, "-m", "benchmarks.site", str(delay_s)]
    if certificate:
        command += ["--certificate", str(certificate)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout  # noqa: PT018, S101 - for the type checker
        yield f"http{'s' if certificate else ''}://127.0.0.1:{process.stdout.readline().strip()}/"
        process.stdin.close()


@contextmanager
def secure_site() -> Iterator[tuple[str, Path]]:
    """Run the site over TLS with a certificate for this time only; yield its URL, and the file to trust."""
    authority = trustme.CA()
    with tempfile.TemporaryDirectory(prefix="whm-") as folder:
        certificate, ca_file = Path(folder, "site.pem"), Path(folder, "ca.pem")
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
        authority.cert_pem.write_to_path(ca_file)
        with site(certificate=certificate) as url:
            yield url, ca_file


def answered(url: str, ca_file: Path | None = None) -> int:
    """Return how many requests the site has answered."""
    context = ssl.create_default_context(cafile=ca_file)
    with urllib.request.urlopen(url + "answered", context=context) as response:  # noqa: S310 - on loopback
        return int(response.read())


@contextmanager
def program(
    config: dict[str, Any], starter: Sequence[str] = ("main.py",)
) -> Iterator[tuple[psutil.Process, str]]:
    """Run `main.py` with embedded servers; yield its process and the URI of the database.

    `starter` are the arguments of Python that run it in another way.
    """
    with tempfile.TemporaryDirectory(prefix="whm-") as folder:
        path = Path(folder, "config.json")
        path.write_text(json.dumps({"data_dir": "data", "log_level": "warning", "web_port": 0} | config))
        with subprocess.Popen([sys.executable, *starter, "--config", str(path)], cwd=ROOT) as process:
            try:
                yield (
                    psutil.Process(process.pid),
                    f"postgresql://postgres@/postgres?host={folder}/data/socket",
                )
            finally:
                process.terminate()


def free_port() -> int:
    """Return a port on which nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return int(unused.getsockname()[1])


def configuration_of(process: psutil.Process) -> Path:
    """Return the file that the program was started with."""
    return Path(process.cmdline()[-1])


def cpu_s(process: psutil.Process) -> dict[str, float]:
    """Return the CPU seconds until now of the program, its broker and its PostgreSQL."""
    times = process.cpu_times()
    used = {"program": times.user + times.system, "broker": 0.0, "PostgreSQL": 0.0}
    for child in process.children(recursive=True):
        try:
            times = child.cpu_times()
            used["broker" if "tansu" in child.name() else "PostgreSQL"] += times.user + times.system
        except psutil.NoSuchProcess:
            continue
    return used


async def rows(uri: str) -> int:
    """Return how many results are stored."""
    connection = await asyncpg.connect(uri)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM health_data"))
    finally:
        await connection.close()


async def first_rows(uri: str, at_least: int, limit_s: float = 60, look_s: float = 0.2) -> None:
    """Wait until at least so many results are stored."""
    ends = time.monotonic() + limit_s
    while time.monotonic() < ends:
        try:
            if await rows(uri) >= at_least:
                return
        except (OSError, asyncpg.PostgresError):
            pass
        await asyncio.sleep(look_s)
    raise TimeoutError(f"no {at_least} rows within {limit_s} s")
