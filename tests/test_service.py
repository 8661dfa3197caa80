from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from monitor import service
from monitor.config.model import Config, Monitor
from monitor.delivery.outbox import open_outbox
from monitor.runtime import resources
from monitor.service import CannotGoOnError, check_once, concurrent_checks


async def test_once_ends_with_an_error_when_nothing_gets_stored(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_STORED_S", 0.5)
    config = Config(
        monitors=(Monitor(name="gone", url="http://127.0.0.1:9/"),),
        data_dir=short_dir,
        kafka_bootstrap="127.0.0.1:9",
        pg_uri=SecretStr("postgresql://127.0.0.1:9/x"),
        shutdown_grace_s=2,
    )

    with pytest.raises(CannotGoOnError, match="1 results are not stored"):
        await check_once(config, short_dir / "config.json", {})

    outbox = await open_outbox(short_dir / "outbox.sqlite", 10**6)
    assert outbox.rows == 1
    await outbox.close()


async def test_the_reason_is_given_also_within_the_embedded_servers(database: str, short_dir: Path) -> None:
    connection = await asyncpg.connect(database)
    await connection.execute("INSERT INTO health_schema VALUES (9999, 'from_the_future', '')")
    await connection.close()
    config = Config(
        monitors=(Monitor(name="gone", url="http://127.0.0.1:9/"),),
        data_dir=short_dir,
        kafka_bootstrap="embedded",
        pg_uri=SecretStr(database),
        shutdown_grace_s=2,
    )

    with pytest.raises(CannotGoOnError, match="newer than this program"):
        await check_once(config, short_dir / "config.json", {})


@pytest.mark.parametrize(("handles", "checks"), [(20_000, 500), (1_000, 500), (256, 128), (1, 1)])
def test_checks_take_no_more_than_half_of_the_file_handles(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, handles: int, checks: int
) -> None:
    monkeypatch.setattr(resources, "file_limit", lambda: handles)

    assert concurrent_checks(Config(monitors=())) == checks

    warning = f"max_concurrent_checks is 500, but there are file handles for {checks}: raise ulimit -n"
    assert caplog.messages == ([warning] if checks < 500 else [])
