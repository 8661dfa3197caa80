import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from monitor.config.model import Config, Monitor
from monitor.delivery.outbox.outbox import open_outbox
from monitor.runtime.process import resources
from monitor.service import CannotGoOnError, check_once, concurrent_checks


@pytest.fixture
async def silent_server() -> AsyncIterator[str]:
    """The address of a server that accepts connections and never answers."""
    ended = asyncio.Event()

    async def wait(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    server = await asyncio.start_server(wait, "127.0.0.1", 0)
    yield "{}:{}".format(*server.sockets[0].getsockname())
    ended.set()
    server.close()


async def test_once_gives_up_and_says_what_waits_where_without_kafka_and_postgresql(short_dir: Path) -> None:
    config = Config(
        monitors=(Monitor(name="gone", url="http://127.0.0.1:9/"),),
        data_dir=short_dir,
        kafka_bootstrap="127.0.0.1:9",
        pg_uri=SecretStr("postgresql://127.0.0.1:9/x"),
        shutdown_grace_s=2,
    )

    with pytest.raises(CannotGoOnError) as given_up:
        await check_once(config, short_dir / "config.json", {}, within_s=5)

    assert re.fullmatch(
        r"not done within 5 s: 0 of 1 results are stored; 1 result waits in the outbox;"
        r" Kafka is unavailable since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC: .*127\.0\.0\.1:9.*;"
        r" PostgreSQL is unavailable: 127\.0\.0\.1:9.*",
        str(given_up.value),
    )
    outbox = await open_outbox(short_dir / "outbox.sqlite", 10**6)
    assert outbox.rows == 1
    await outbox.close()


async def test_once_gives_up_when_postgresql_does_not_answer(short_dir: Path, silent_server: str) -> None:
    config = Config(
        monitors=tuple(Monitor(name=name, url="http://127.0.0.1:9/") for name in ("gone", "away")),
        data_dir=short_dir,
        kafka_bootstrap="embedded",
        pg_uri=SecretStr(f"postgresql://{silent_server}/x"),
        shutdown_grace_s=600,  # it does not wait so long after it gave up
    )

    with pytest.raises(CannotGoOnError) as given_up:
        await check_once(config, short_dir / "config.json", {}, within_s=5)

    assert str(given_up.value) == (
        "not done within 5 s: 0 of 2 results are stored; 2 results wait in the outbox;"
        " PostgreSQL does not answer"
    )


async def test_once_gives_up_checks_that_do_not_end(
    database: str, short_dir: Path, silent_server: str
) -> None:
    monitors = (
        Monitor(name="gone", url="http://127.0.0.1:9/"),
        *(Monitor(name=f"hangs {n}", url=f"http://{silent_server}/", timeout_s=600) for n in range(2)),
        Monitor(name="off", url="http://127.0.0.1:9/", paused=True),
    )
    config = Config(
        monitors=monitors,
        data_dir=short_dir,
        kafka_bootstrap="embedded",
        pg_uri=SecretStr(database),
        shutdown_grace_s=2,
    )

    with pytest.raises(CannotGoOnError, match="of 3 results are stored; 2 checks have not ended"):
        await check_once(config, short_dir / "config.json", {}, within_s=5)


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
        await check_once(config, short_dir / "config.json", {}, within_s=60)


@pytest.mark.parametrize(("handles", "checks"), [(20_000, 500), (1_000, 500), (256, 128), (1, 1)])
def test_checks_take_no_more_than_half_of_the_file_handles(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, handles: int, checks: int
) -> None:
    monkeypatch.setattr(resources, "file_limit", lambda: handles)

    assert concurrent_checks(Config(monitors=())) == checks

    warning = f"max_concurrent_checks is 500, but there are file handles for {checks}: raise ulimit -n"
    assert caplog.messages == ([warning] if checks < 500 else [])
