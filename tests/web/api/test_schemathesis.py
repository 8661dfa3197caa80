"""Schemathesis against the running server: whatever its document allows is answered as described."""

import asyncio
import sys
import time
from pathlib import Path

import pytest

from monitor.result import CheckResult
from monitor.storage.results import ResultStore
from tests.web.api.client import Client, failed, found

CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "404", "409", "422"]
"""
KNOWN = """
[parameters]
"path.name" = "shop"
"path.id" = {id}
"""


async def check(name: str, _: float) -> CheckResult:
    return failed(name, time.time())


@pytest.mark.clients
@pytest.mark.timeout(600)
@pytest.mark.parametrize("known", [KNOWN, ""], ids=["what is there", "any"])
async def test_schemathesis_finds_nothing(
    api: Client, store: ResultStore, tmp_path: Path, known: str
) -> None:
    now = time.time()
    await store.save([failed("shop", now - 300 + 60 * number) for number in range(5)])
    await store.save([found("a/b", now - 60 * number) for number in range(200)])
    api.check_now(check)
    number = (await api("/incidents")).json["incidents"][0]["id"]
    (tmp_path / "schemathesis.toml").write_text(known.format(id=number) + CONFIG)

    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--no-color", "run", f"{api.url}api/v1/openapi.json"),
        *("--max-examples", "50", "--checks", "all", "--request-timeout", "30", "--continue-on-failure"),
        # In a query all is text: its null is the monitor of that name. And each run asks the same.
        *("--exclude-checks", "negative_data_rejection", "--generation-deterministic"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await run.communicate()

    assert run.returncode == 0, output.decode()
