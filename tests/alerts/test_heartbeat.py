"""The sign of life: sent while all works, and only then."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from monitor.alerts.heartbeat import RecentResults, send_heartbeats
from monitor.config.model import Config
from monitor.storage.database import Database
from monitor.storage.results import ResultStore
from tests.alerting import monitor
from tests.clock import Clock
from tests.receivers import HttpReceiver
from tests.storage.test_results import SLOT, result
from tests.stream import eventually


@asynccontextmanager
async def beating(
    recent: RecentResults, database: Database, url: str, **settings: Any
) -> AsyncIterator[None]:
    config = Config(
        monitors=(monitor("shop", **settings), monitor("off", interval_s=1, paused=True)),
        heartbeat_url=SecretStr(url),
    )
    task = asyncio.create_task(send_heartbeats(recent, database, lambda: config, every_s=0.01))
    yield
    task.cancel()
    await asyncio.wait([task])


async def beats(receiver: HttpReceiver, count: int = 2) -> None:
    before = len(receiver.requests)

    async def came() -> bool:
        return len(receiver.requests) >= before + count

    await eventually("it beats", came)


async def logs(caplog: pytest.LogCaptureFixture, text: str) -> None:
    async def is_logged() -> bool:
        return text in caplog.text

    await eventually("it is logged", is_logged)


NOT_STORED = "no heartbeat: no result of the last minutes is stored"


async def test_it_beats_while_what_is_checked_is_stored(store: ResultStore, receiver: HttpReceiver) -> None:
    recent = RecentResults(Clock(1_000))
    await store.save([result()])
    recent.add(result())

    async with beating(recent, store.database, f"{receiver.url}/beat"):
        await beats(receiver)


async def test_it_does_not_beat_when_nothing_was_checked_lately(
    store: ResultStore, receiver: HttpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock(1_000)
    recent = RecentResults(clock)
    await store.save([result()])
    recent.add(result())
    clock.now += 141

    async with beating(recent, store.database, receiver.url, interval_s=120, timeout_s=10):
        await logs(caplog, NOT_STORED)
        assert receiver.requests == []
        clock.now -= 1
        await beats(receiver)


@pytest.mark.parametrize(
    ("others", "settings", "beats_"),
    [
        ({}, {}, True),
        ({"location": "there"}, {}, False),
        ({"monitor": "off"}, {}, False),
        ({}, {"share_checks": False}, False),
        ({}, {"kafka_bootstrap": "embedded"}, False),
    ],
)
async def test_where_others_of_the_location_make_the_checks_theirs_are_enough(
    store: ResultStore,
    receiver: HttpReceiver,
    caplog: pytest.LogCaptureFixture,
    others: dict[str, str],
    settings: dict[str, Any],
    beats_: bool,
) -> None:
    checked_at = time.time() - 30
    await store.save([result(checked_at, **{"monitor": "shop", "location": "here"} | others)])
    config = Config.model_validate(
        {
            "monitors": (monitor("shop"), monitor("off", paused=True)),
            "heartbeat_url": SecretStr(receiver.url),
            "location": "here",
            "kafka_bootstrap": "127.0.0.1:1",
        }
        | settings
    )

    sending = asyncio.create_task(
        send_heartbeats(RecentResults(), store.database, lambda: config, every_s=0.01)
    )
    await (beats(receiver) if beats_ else logs(caplog, NOT_STORED))
    sending.cancel()
    await asyncio.wait([sending])

    assert bool(receiver.requests) is beats_


async def test_others_checks_of_an_hour_ago_are_not_enough(
    store: ResultStore, receiver: HttpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    await store.save([result(time.time() - 3_600, monitor="shop", location="here")])
    config = Config(
        monitors=(monitor("shop"),),
        heartbeat_url=SecretStr(receiver.url),
        location="here",
        kafka_bootstrap="127.0.0.1:1",
    )

    sending = asyncio.create_task(
        send_heartbeats(RecentResults(), store.database, lambda: config, every_s=0.01)
    )
    await logs(caplog, NOT_STORED)
    sending.cancel()
    await asyncio.wait([sending])

    assert receiver.requests == []


async def test_it_does_not_beat_when_what_was_checked_is_not_stored(
    store: ResultStore, receiver: HttpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    recent = RecentResults(Clock(1_000))
    recent.add(result())

    async with beating(recent, store.database, receiver.url):
        await logs(caplog, NOT_STORED)
        assert receiver.requests == []


async def test_it_does_not_beat_without_the_database(
    receiver: HttpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    recent = RecentResults(Clock(1_000))
    recent.add(result())

    async with beating(recent, Database("postgresql://127.0.0.1:1/none"), receiver.url):
        await logs(caplog, NOT_STORED)
        assert receiver.requests == []


async def test_without_a_url_it_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[Config] = []

    def config() -> Config:
        asked.append(Config(monitors=(monitor("shop"),)))
        return asked[-1]

    async def are_over() -> bool:
        return len(asked) > 2

    nothing = Database("postgresql://127.0.0.1:1/none")
    task = asyncio.create_task(send_heartbeats(RecentResults(Clock(1_000)), nothing, config, every_s=0.01))
    await eventually("some turns are over", are_over)
    task.cancel()
    await asyncio.wait([task])

    assert caplog.text == ""


async def test_an_outside_service_in_trouble_is_logged_without_its_url(
    store: ResultStore, receiver: HttpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    recent = RecentResults(Clock(1_000))
    await store.save([result()])
    recent.add(result())
    receiver.statuses = [500]

    async with beating(recent, store.database, f"{receiver.url}/s3cret"):
        await logs(caplog, "the heartbeat was answered with 500")
    async with beating(recent, store.database, "http://127.0.0.1:1/s3cret"):
        await logs(caplog, "the heartbeat did not arrive: no connection: connection refused")

    ours = [record.getMessage() for record in caplog.records if record.name == "monitor.alerts.heartbeat"]
    assert "s3cret" not in "".join(ours)


def test_one_result_a_second_is_remembered() -> None:
    clock = Clock(1_000)
    recent = RecentResults(clock)

    for number in range(21):
        recent.add(result(SLOT + number))
        clock.now += 0.125

    assert [each.scheduled_at for each in recent.within(60)] == [SLOT, SLOT + 8, SLOT + 16]
    assert len(recent.within(1)) == 1
