"""Processes that share their checks on a broker; on Apache Kafka with the sessions that the program has."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from monitor.config.model import Config
from monitor.embedded.broker import Broker
from monitor.sharing import Sharing, sharing
from tests.apache_kafka import ApacheKafka
from tests.delivery.test_apache_kafka import config as config_of
from tests.delivery.test_apache_kafka import sasl
from tests.forwarding import until


def shared_of(config: Config) -> Sharing:
    """Make a process of this location; it looks nothing up."""
    made = sharing(config, None)  # type: ignore[arg-type]  # no slot is missing here
    assert made
    return made


@asynccontextmanager
async def running(shared: Sharing) -> AsyncIterator[None]:
    task = asyncio.create_task(shared.run())
    try:
        yield
        await shared.leave()
        await task
    finally:
        task.cancel()


async def share_and_leave(config: Config, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="monitor.sharing")
    one, two = shared_of(config), shared_of(config)
    async with running(one):
        await until(lambda: len(one.own_shards()) == 64, "one has everything")
        async with running(two):
            await until(lambda: len(one.own_shards()) == len(two.own_shards()) == 32, "both have a half")
            assert {*one.own_shards(), *two.own_shards()} == set(range(64))
            await until(lambda: "checks are shared; " in caplog.text, "one has asked who takes part")
        await until(lambda: len(one.own_shards()) == 64, "one has everything again")


async def vanish(config: Config) -> None:
    one, two = shared_of(config), shared_of(config)
    async with running(one):
        vanishing = asyncio.create_task(two.run())
        await until(lambda: len(one.own_shards()) == len(two.own_shards()) == 32, "both have a half")
        for connection in two._consumer._client._conns.values():
            connection.close()
        coordinator = two._consumer._coordinator
        coordinator._heartbeat_task.cancel()
        coordinator._coordination_task.cancel()
        await until(lambda: len(one.own_shards()) == 64, "one has everything after the session")
        vanishing.cancel()
        await asyncio.gather(vanishing, return_exceptions=True)


@pytest.fixture
def on_embedded(broker: Broker) -> Config:
    """The embedded broker, as any other would be used."""
    return Config(monitors=(), kafka_bootstrap=broker.bootstrap, location="here")


@pytest.fixture
def on_kafka(apache_kafka: ApacheKafka, tmp_path: Path) -> Config:
    return config_of(apache_kafka, "PLAINTEXT", tmp_path)


async def test_two_processes_have_a_half_each(on_embedded: Config, caplog: pytest.LogCaptureFixture) -> None:
    await share_and_leave(on_embedded, caplog)


@pytest.mark.kafka
@pytest.mark.kafka_versions
async def test_two_processes_have_a_half_each_on_apache_kafka(
    on_kafka: Config, caplog: pytest.LogCaptureFixture
) -> None:
    await share_and_leave(on_kafka, caplog)

    async with running(one := shared_of(on_kafka)):
        await until(lambda: one.own_shards() and one.members, "it knows who takes part")
        assert one.members == {one.name: list(range(64))}


@pytest.mark.kafka
async def test_a_user_without_rights_checks_everything(
    apache_kafka: ApacheKafka,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("monitor.sharing.ALONE_AFTER_S", 3.0)
    guest = config_of(apache_kafka, "SASL_PLAINTEXT", tmp_path, **sasl("PLAIN", "guest"))

    async with running(one := shared_of(guest)):
        await until(lambda: one.own_shards() == list(range(64)), "one has everything")

    assert "Kafka is unavailable, checks are shared as before: " in caplog.text


@pytest.mark.kafka
async def test_a_process_that_vanished_is_left_out_after_its_session(on_kafka: Config) -> None:
    await vanish(on_kafka)
