"""Kafka clients whose broker is dead or deaf still end, and leave nothing behind."""

import asyncio
import signal

import pytest

from monitor.delivery.kafka import clients
from monitor.delivery.kafka.clients import started
from tests.stream import Stream


def others() -> set[asyncio.Task[object]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_consumer_of_a_lost_broker_leaves_nothing_behind(stream: Stream, how: signal.Signals) -> None:
    async with started(stream.consumer()) as consumer:
        stream.lose(how)
        await consumer.getmany(timeout_ms=1_500)

    assert others() == set()


async def test_a_client_that_does_not_come_to_start_leaves_nothing_behind(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "START_S", 0.5)
    stream.lose(signal.SIGSTOP)

    with pytest.raises(TimeoutError):
        async with started(stream.consumer()):
            pytest.fail("there is no broker")

    assert others() == set()
