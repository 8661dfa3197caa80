"""Alerts about the program itself: straight from the process, without Kafka and PostgreSQL."""

import asyncio
import json
import logging
import os
import socket
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from monitor.alerts.channels.channels import Channels
from monitor.alerts.own_trouble import (
    Trouble,
    compose_own_trouble,
    compose_own_trouble_over,
    send_own_trouble,
    troubles_of,
)
from monitor.config.model import Config
from monitor.runtime.progress import Availability, Progress, Watch
from tests.alerting import NOW
from tests.clock import Clock
from tests.program import Start
from tests.receivers import HttpReceiver, serving
from tests.stream import eventually

AWAY = Trouble(NOW, "PostgreSQL is unavailable: db:5432: connection refused")
STALLED = Trouble(NOW + 5, "no progress: the forwarder waits for Kafka")


def configured(*receivers: HttpReceiver, **settings: Any) -> Config:
    channels = {
        f"hook{number}": {"webhook": each.url, "secret": "s3cret"} for number, each in enumerate(receivers, 1)
    }
    return Config.model_validate(
        {"monitors": (), "location": "Vienna", "alerts": {"channels": channels}, "web_port": None, **settings}
    )


class World:
    """The troubles and the clock of a process that sends its own alerts."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.troubles: list[Trouble] = []
        self.now = NOW
        self.looks = 0

    def look(self) -> list[Trouble]:
        self.looks += 1
        return self.troubles

    async def after_looks(self) -> None:
        """Wait until two further looks have ended."""
        last = self.looks + 3
        await eventually("it looks", lambda: _soon(self.looks >= last))


async def _soon(fact: bool) -> bool:
    return fact


@asynccontextmanager
async def sending(config: Config, retry_after_s: Callable[[int], float] = lambda attempts: attempts) -> Any:
    world = World(config)
    task = asyncio.create_task(
        send_own_trouble(
            world.look,
            lambda: world.config,
            Channels(lambda: world.config.alerts.channels, retry_after_s),
            clock=lambda: world.now,
            look_s=0.01,
        )
    )
    yield world
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])


def events(receiver: HttpReceiver) -> list[str]:
    return [json.loads(body)["event"] for _, body in receiver.requests]


async def got(receiver: HttpReceiver, count: int) -> None:
    await eventually(f"{count} alerts came", lambda: _soon(len(receiver.requests) >= count))


async def test_each_channel_is_alerted_once_when_trouble_lasts_and_once_when_it_is_over(
    receiver: HttpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    other = HttpReceiver()
    async with serving(other), sending(configured(receiver, other)) as world:
        world.troubles = [AWAY]
        world.now = NOW + 119.9
        await world.after_looks()
        assert receiver.requests == []

        world.now = NOW + 120
        await got(receiver, 1)
        await got(other, 1)
        world.troubles = [STALLED]
        await world.after_looks()
        world.troubles = []
        world.now = NOW + 200
        await got(receiver, 2)
        await got(other, 2)
        await world.after_looks()

    assert events(receiver) == events(other) == ["own_trouble", "own_trouble_over"]
    first, last = (json.loads(body) for _, body in receiver.requests)
    assert first["title"] == "The website health monitor in Vienna cannot judge since 2027-01-15 08:00:00 UTC"
    assert AWAY.text in first["text"]
    assert first["id"] == -round((NOW + 120) * 1_000)
    assert last["title"] == "The website health monitor in Vienna can judge again"
    assert last["id"] != first["id"]
    assert f"alert sent to hook1: {first['title']}" in caplog.text
    assert caplog.text.count("ERROR    monitor.alerts.own_trouble:own_trouble.py") == 1


async def test_trouble_that_ends_soon_is_not_worth_an_alert(receiver: HttpReceiver) -> None:
    async with sending(configured(receiver)) as world:
        world.troubles, world.now = [AWAY], NOW + 100
        await world.after_looks()
        world.troubles, world.now = [], NOW + 130
        await world.after_looks()

    assert receiver.requests == []


async def test_the_time_is_configured_and_followed(receiver: HttpReceiver) -> None:
    async with sending(configured(receiver, own_trouble_after_s=600)) as world:
        world.troubles, world.now = [AWAY], NOW + 300
        await world.after_looks()
        assert receiver.requests == []
        world.config = configured(receiver, own_trouble_after_s=200)
        await got(receiver, 1)


async def test_a_channel_that_takes_no_alert_gets_it_later(receiver: HttpReceiver) -> None:
    receiver.statuses = [500, 500, 200]
    async with sending(configured(receiver), lambda attempts: 10.0 * attempts) as world:
        world.troubles, world.now = [AWAY], NOW + 120
        await got(receiver, 1)
        await world.after_looks()
        assert len(receiver.requests) == 1
        world.now = NOW + 130
        await got(receiver, 2)
        world.now = NOW + 149
        await world.after_looks()
        assert len(receiver.requests) == 2
        world.now = NOW + 150
        await got(receiver, 3)

    assert events(receiver) == ["own_trouble"] * 3
    assert len({json.loads(body)["id"] for _, body in receiver.requests}) == 1


async def test_a_channel_that_was_never_alerted_gets_no_end(receiver: HttpReceiver) -> None:
    receiver.statuses = [500]
    async with sending(configured(receiver), lambda _: 1_000.0) as world:
        world.troubles, world.now = [AWAY], NOW + 120
        await got(receiver, 1)
        world.troubles = []
        await world.after_looks()
        world.troubles = [AWAY]
        await got(receiver, 2)

    assert events(receiver) == ["own_trouble", "own_trouble"]


async def test_what_a_channel_did_not_take_for_a_day_is_given_up(
    receiver: HttpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.statuses = [404, 404, 404]
    async with sending(configured(receiver), lambda _: 600.0) as world:
        world.troubles, world.now = [AWAY], NOW + 120
        await got(receiver, 1)
        world.now += 86_399
        await got(receiver, 2)
        await world.after_looks()
        world.now += 600
        await got(receiver, 3)
        await world.after_looks()
        world.now += 600
        await world.after_looks()

    assert events(receiver) == ["own_trouble"] * 3
    assert caplog.text.count("alert to hook1 given up, after a day of attempts: The website health") == 1


async def test_an_end_during_the_alert_is_sent_after_it(receiver: HttpReceiver) -> None:
    receiver.hold = asyncio.Event()
    async with sending(configured(receiver)) as world:
        world.troubles, world.now = [AWAY], NOW + 120
        await got(receiver, 1)
        world.troubles = []
        await world.after_looks()
        receiver.hold.set()
        await got(receiver, 2)

    assert events(receiver) == ["own_trouble", "own_trouble_over"]


async def test_a_channel_with_a_new_address_is_used(receiver: HttpReceiver) -> None:
    other = HttpReceiver()
    async with serving(other), sending(configured(receiver)) as world:
        world.troubles, world.now = [AWAY], NOW + 120
        await got(receiver, 1)
        world.config, world.troubles = configured(other), []
        await got(other, 1)

    assert (events(receiver), events(other)) == (["own_trouble"], ["own_trouble_over"])


def test_the_alert_says_what_since_when_and_from_where() -> None:
    config = configured(alerts={"page_url": "https://watch.example/"})

    alert = compose_own_trouble([STALLED, AWAY], config, NOW + 120)
    over = compose_own_trouble_over(NOW, config, NOW + 180)

    first, second, *_, process, page = alert.text.splitlines()
    assert first == f"Since 2027-01-15 08:00:00 UTC: {AWAY.text}"
    assert second == f"Since 2027-01-15 08:00:05 UTC: {STALLED.text}"
    assert process == f"Sent from: Vienna, process {os.getpid()} on {socket.gethostname()}"
    assert page == over.text.splitlines()[-1] == "https://watch.example/pipeline"
    assert "from 2027-01-15 08:00:00 to 2027-01-15 08:03:00 UTC, 3 min" in over.text


def test_without_an_address_of_the_pages_there_is_no_link() -> None:
    assert "pipeline" not in compose_own_trouble([AWAY], configured(), NOW).text


def test_a_server_that_several_stages_use_is_named_once_since_the_first_failed() -> None:
    first, second = Availability("PostgreSQL"), Availability("PostgreSQL")
    for each, at in ((second, NOW), (first, NOW - 5)):
        each.failed(OSError("gone"))
        each.unavailable_since_at = at

    for servers in ((first, second), (second, first)):
        assert troubles_of(Watch(), servers, NOW) == [Trouble(NOW - 5, "PostgreSQL is unavailable: gone")]


def test_trouble_is_a_server_that_is_away_and_a_stage_that_waits_for_something_else() -> None:
    clock = Clock(0.0)
    watch = Watch(60.0)
    postgresql, kafka = Availability("PostgreSQL", "db:5432"), Availability("Kafka", "kafka:9092")
    ingest, alerts, disk = (Progress(name, clock) for name in ("the ingest", "the alerting", "the outbox"))
    watch.add(ingest, alerts, disk)
    assert troubles_of(watch, (kafka, postgresql), NOW) == []

    postgresql.failed(OSError("connection refused"))
    for stage, waits_for in ((ingest, "PostgreSQL"), (alerts, "PostgreSQL"), (disk, "the disk")):
        stage.begin(waits_for)
    clock.now += 90
    found = troubles_of(watch, (kafka, postgresql), NOW)

    assert [each.text for each in found] == [
        "PostgreSQL is unavailable: db:5432: connection refused",
        "no progress: the outbox waits for the disk",
    ]
    assert [each.since_at for each in found] == [pytest.approx(time.time(), abs=30), NOW - 90]


@pytest.mark.parametrize("kafka", ["embedded", "127.0.0.1:9"])
async def test_the_program_without_a_database_alerts_people_itself(
    program: Start, receiver: HttpReceiver, kafka: str
) -> None:
    monitor = program(
        pg_uri="postgresql://127.0.0.1:9/x",
        kafka_bootstrap=kafka,
        location="Vienna",
        own_trouble_after_s=3,
        monitors=[{"name": "shop", "url": "http://127.0.0.1:1/", "interval_s": 1}],
        alerts={"channels": {"hook": {"webhook": receiver.url, "secret": "s3cret"}}},
    )
    monitor.start()

    await got(receiver, 1)

    assert await asyncio.to_thread(monitor.stop) == 0
    (alert,) = (json.loads(body) for _, body in receiver.requests)
    assert alert["title"].startswith("The website health monitor in Vienna cannot judge since ")
    assert "PostgreSQL is unavailable: 127.0.0.1:9: connection refused" in alert["text"]
