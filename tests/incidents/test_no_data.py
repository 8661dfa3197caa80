"""Monitors without results: who notices, and who must not."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from monitor.config.model import Monitor
from monitor.delivery.kafka.aiokafka_fixes import close
from monitor.delivery.partitions import partition_of
from monitor.incidents.bookkeeping import Bookkeeping
from monitor.incidents.no_data import LOOK_S, NoDataWatch, look_for_no_data
from monitor.incidents.rules import MonitorRules
from tests.observing import START, check, checks
from tests.postgres import PostgresServer, result_store
from tests.storage.test_results import query
from tests.stream import Stream, eventually

FORGET = "UPDATE health_states SET last_at = '-infinity', health = '{}'"
PATIENCE_S = 3 * 60 + 10


class Clock:
    """Time, as a test has it: both of a machine's clocks."""

    def __init__(self) -> None:
        self.wall = START
        self.monotonic = 100.0

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


class Process:
    """A storing process, as far as it looks for missing results."""

    def __init__(self, database: str, stream: Stream, *names: str, settle_s: float = 0) -> None:
        self.clock = Clock()
        self.stream = stream
        self.rules = MonitorRules(map(monitor, names), lambda: self.clock.wall)
        bookkeeping = Bookkeeping(self.rules, 90, lambda: self.clock.wall)
        self.store = result_store(database, bookkeeping)
        self.watch = NoDataWatch(
            self.store.database,
            self.rules,
            partition_of,
            settle_s=settle_s,
            clock=lambda: self.clock.wall,
            monotonic=lambda: self.clock.monotonic,
        )

    @asynccontextmanager
    async def reading(self, *partitions: int) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.stream.address,
            auto_offset_reset="earliest",
            request_timeout_ms=1000,
            fetch_max_wait_ms=20,
        )
        consumer.assign([TopicPartition(self.stream.topic, number) for number in partitions or range(4)])
        await consumer.start()
        try:
            yield consumer
        finally:
            await close(consumer)  # aiokafka's own end lets a cancellation out after a broker was unavailable
            await self.store.database.close()

    async def look_for(self, consumer: AIOKafkaConsumer, seconds: float) -> None:
        """Look as often as time goes on."""
        for _ in range(int(seconds / LOOK_S)):
            await self.watch.look(consumer)
            await self.watch.look(consumer)
            self.clock.advance(LOOK_S)


def monitor(name: str, **settings: object) -> Monitor:
    return Monitor.model_validate({"name": name, "url": "https://shop.example/", **settings})


async def changes(database: str) -> list[tuple[str, str, str]]:
    rows = await query(database, "SELECT monitor, kind, change FROM health_changes ORDER BY id")
    return [(row[0], row[1], row[2]) for row in rows]


async def test_three_intervals_without_a_result_are_an_incident(database: str, stream: Stream) -> None:
    process = Process(database, stream, "shop")
    async with process.reading() as consumer:
        await process.store.save([check(0)])

        await process.look_for(consumer, PATIENCE_S + LOOK_S)
        assert await changes(database) == []
        await process.look_for(consumer, 4 * LOOK_S)
        assert await changes(database) == [("shop", "no_data", "opened")]

        (state,) = await query(database, "SELECT status FROM health_states")
        (incident,) = await query(database, "SELECT started_at, noticed_at FROM health_incidents")
        assert state["status"] == "unknown"
        assert incident["started_at"] == START
        assert incident["noticed_at"] == pytest.approx(START + PATIENCE_S, abs=2 * LOOK_S)

        process.clock.advance(120)
        await process.store.save([check(5)])
        assert await changes(database) == [("shop", "no_data", "opened"), ("shop", "no_data", "resolved")]


async def test_an_incident_says_that_the_results_cannot_be_stored(database: str, stream: Stream) -> None:
    process = Process(database, stream, "shop", "cafe", "bar")
    async with process.reading() as consumer:
        process.watch.cannot_store(b"bar", "a result of long ago")
        await process.look_for(consumer, PATIENCE_S - 60)
        process.watch.cannot_store(b"shop", "invalid byte\nsequence\0")
        for key in (None, b"\xff", b"nobody's"):
            process.watch.cannot_store(key, "not of a monitor")
        await process.look_for(consumer, 60 + 6 * LOOK_S)

    rows = await query(database, "SELECT monitor, detail FROM health_changes ORDER BY monitor")
    assert [tuple(row) for row in rows] == [
        ("bar", "no result for 3 intervals"),
        ("cafe", "no result for 3 intervals"),
        ("shop", "no result for 3 intervals that can be stored: invalid byte sequence\ufffd"),
    ]


async def test_a_shorter_interval_is_waited_for_from_the_change_on(database: str, stream: Stream) -> None:
    process = Process(database, stream, "shop")
    hourly, often = monitor("shop", interval_s=3_600), monitor("shop")
    async with process.reading() as consumer:
        process.rules.follow([hourly])
        await process.store.save([check(0)])
        await process.look_for(consumer, 3_000)

        process.rules.follow([often])
        await process.look_for(consumer, PATIENCE_S / 2)
        process.rules.follow([often])
        await process.look_for(consumer, PATIENCE_S / 2)
        assert await changes(database) == []
        await process.look_for(consumer, 4 * LOOK_S)
        assert await changes(database) == [("shop", "no_data", "opened")]


async def test_results_that_come_are_data(database: str, stream: Stream) -> None:
    process = Process(database, stream, "shop")
    async with process.reading() as consumer:
        for slot in range(8):
            await process.store.save([check(slot)])
            await process.look_for(consumer, 60)

    assert await changes(database) == []


async def test_a_monitor_is_looked_at_when_its_newest_known_result_is_too_old(
    database: str, stream: Stream
) -> None:
    process = Process(database, stream, "shop")
    async with process.reading() as consumer:
        process.clock.advance(60)
        await process.store.save(checks("+++"))
        await process.look_for(consumer, PATIENCE_S + 6 * LOOK_S - 90)
        await query(database, FORGET)

        await process.look_for(consumer, 60)
        assert await changes(database) == []
        await process.look_for(consumer, 60)

    assert await changes(database) == [("shop", "no_data", "opened")]


async def test_a_slot_that_was_ahead_hides_missing_results_for_three_intervals_at_most(
    database: str, stream: Stream
) -> None:
    process = Process(database, stream, "shop")
    async with process.reading() as consumer:
        await process.store.save([check(0)])
        await query(database, "UPDATE health_states SET last_at = last_at + 1e6")
        await process.look_for(consumer, PATIENCE_S + 6 * LOOK_S)
        await query(database, FORGET)

        await process.look_for(consumer, PATIENCE_S + 4 * LOOK_S)

    assert await changes(database) == [("shop", "no_data", "opened")]


async def test_nothing_is_remembered_of_monitors_that_are_gone(database: str, stream: Stream) -> None:
    process = Process(database, stream, "shop", "blog")
    async with process.reading() as consumer:
        await process.look_for(consumer, PATIENCE_S + 6 * LOOK_S)
        assert process.watch._newest.keys() == {"shop", "blog"}
        process.rules.follow([monitor("blog")])

        await process.look_for(consumer, 4 * LOOK_S)

    assert process.watch._newest.keys() == {"blog"}


async def test_a_monitor_that_never_had_a_result_has_no_data_since_it_is_watched(
    database: str, stream: Stream
) -> None:
    process = Process(database, stream)
    async with process.reading() as consumer:
        await process.look_for(consumer, 600)
        process.rules.follow([monitor("new"), monitor("paused", paused=True)])
        await process.look_for(consumer, PATIENCE_S)
        assert await changes(database) == []
        await process.look_for(consumer, 4 * LOOK_S)

    assert await changes(database) == [("new", "no_data", "opened")]
    (incident,) = await query(database, "SELECT started_at FROM health_incidents")
    assert incident["started_at"] == START + 600


async def test_a_process_that_was_suspended_waits_before_it_judges(database: str, stream: Stream) -> None:
    before = Process(database, stream, "shop")
    await before.store.save([check(-600)])
    await before.store.database.close()
    process = Process(database, stream, "shop", settle_s=300)
    async with process.reading() as consumer:
        await process.look_for(consumer, 300)
        assert await changes(database) == []
        await process.look_for(consumer, 4 * LOOK_S)
        assert await changes(database) == [("shop", "no_data", "opened")]


async def test_what_is_not_yet_read_may_be_a_result(database: str, stream: Stream) -> None:
    process = Process(database, stream, "shop")
    async with process.reading() as consumer:
        await stream.send(b"not read", key=b"shop")
        await process.look_for(consumer, 600)
        assert await changes(database) == []

        assert await consumer.getmany(timeout_ms=5_000)
        await process.look_for(consumer, 4 * LOOK_S)
        assert await changes(database) == [("shop", "no_data", "opened")]


async def test_results_that_are_always_a_little_behind_do_not_hide_no_data(
    database: str, stream: Stream
) -> None:
    process = Process(database, stream, "shop")
    async with process.reading() as consumer:
        await process.look_for(consumer, PATIENCE_S)
        for _ in range(2):
            await stream.send(b"another monitor's", key=b"shop")
        for _ in range(8):
            await stream.send(b"another monitor's", key=b"shop")
            await process.look_for(consumer, LOOK_S)
            assert await consumer.getmany(timeout_ms=5_000, max_records=1)

    assert await changes(database) == [("shop", "no_data", "opened")]


async def test_a_process_without_partitions_judges_nobody(database: str, stream: Stream) -> None:
    process = Process(database, stream, "shop")
    async with AIOKafkaConsumer(bootstrap_servers=stream.address, group_id="idle") as consumer:
        await process.look_for(consumer, 600)

    assert await changes(database) == []
    await process.store.database.close()


async def test_a_topic_that_is_deleted_meanwhile_lets_nobody_be_judged(
    database: str, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(database, stream, "shop")
    async with process.reading() as consumer:
        end_offsets, cluster = consumer.end_offsets, consumer._client.cluster

        async def deleted_after_that(partitions: Any) -> Any:
            ends = await end_offsets(partitions)
            cluster._partitions.clear()  # as the next metadata do, between two turns of the loop
            return ends

        await process.look_for(consumer, PATIENCE_S)
        monkeypatch.setattr(consumer, "end_offsets", deleted_after_that)
        await process.look_for(consumer, 4 * LOOK_S)

    assert await changes(database) == []


async def test_after_partitions_were_shared_out_anew_results_have_time_to_come(
    database: str, stream: Stream
) -> None:
    process = Process(database, stream, "shop", settle_s=600)
    async with process.reading(0, 1) as some, process.reading() as every:
        await process.look_for(some, 590)
        await process.look_for(every, 590)
        assert await changes(database) == []
        await process.look_for(every, 60)

    assert await changes(database) == [("shop", "no_data", "opened")]


async def test_each_monitor_is_judged_where_its_results_would_be(database: str, stream: Stream) -> None:
    names = [f"m{number}" for number in range(12)]
    for partitions in ((0, 1), (2, 3), (0, 1, 2, 3)):
        process = Process(database, stream, *names)
        async with process.reading(*partitions) as consumer:
            await process.look_for(consumer, 2 * PATIENCE_S)
        without_data = {name for name, _, _ in await changes(database)}
        assert len(without_data) == len(await changes(database))
        assert 0 < len(without_data) < 12 or (partitions != (0, 1) and len(without_data) == 12)


async def test_two_processes_open_one_incident(database: str, stream: Stream) -> None:
    processes = [Process(database, stream, *(f"m{number}" for number in range(20))) for _ in range(2)]
    async with processes[0].reading() as one, processes[1].reading() as other:
        for _ in range(50):
            await asyncio.gather(processes[0].watch.look(one), processes[1].watch.look(other))
            for process in processes:
                process.clock.advance(LOOK_S)

    assert sorted(await changes(database)) == sorted(
        (f"m{number}", "no_data", "opened") for number in range(20)
    )


async def test_two_processes_that_find_the_same_monitor_without_results_open_one_incident(
    database: str,
) -> None:
    stores = [result_store(database, Bookkeeping(MonitorRules([monitor("shop")]), 90)) for _ in range(2)]
    await stores[0].save([check(0)])
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    async def both_wait() -> bool:
        return len(await query(database, waiting)) == len(stores)

    third = await asyncpg.connect(database)
    async with third.transaction():
        await third.execute("SELECT FROM health_states WHERE monitor = 'shop' FOR UPDATE")
        looks = [
            asyncio.create_task(
                look_for_no_data(
                    store.database, {"shop": START + 600}, {"shop": START}, lambda _: True, START + 900, {}
                )
            )
            for store in stores
        ]
        await eventually("both have found it", both_wait)
    await asyncio.gather(*looks)

    assert await changes(database) == [("shop", "no_data", "opened")]
    for each in (third, *(store.database for store in stores)):
        await each.close()


async def test_after_kafka_was_unavailable_results_have_time_to_come(database: str, stream: Stream) -> None:
    process = Process(database, stream, "shop", settle_s=600)
    async with process.reading() as consumer:
        await process.look_for(consumer, 590)
        stream.lose(signal.SIGSTOP)
        await process.look_for(consumer, LOOK_S)
        stream.lose(signal.SIGCONT)
        await process.look_for(consumer, 590)
        assert await changes(database) == []
        await process.look_for(consumer, 60)

    assert await changes(database) == [("shop", "no_data", "opened")]


@pytest.mark.parametrize(("wall_s", "monotonic_s"), [(31, 31), (3_600, 5), (-300, 5)])
async def test_after_a_sleep_or_a_jump_of_the_clock_results_have_time_to_come(
    database: str, stream: Stream, wall_s: float, monotonic_s: float
) -> None:
    process = Process(database, stream, "shop", settle_s=600)
    async with process.reading() as consumer:
        await process.look_for(consumer, 590)
        process.clock.wall += wall_s
        process.clock.monotonic += monotonic_s
        await process.look_for(consumer, 600)
        assert await changes(database) == []
        await process.look_for(consumer, 4 * LOOK_S)

    assert await changes(database) == [("shop", "no_data", "opened")]


async def test_a_topic_made_anew_begins_anew(database: str, stream: Stream) -> None:
    process = Process(database, stream, "shop", settle_s=300)
    async with process.reading() as consumer:
        await stream.send(b"gone", key=b"shop")
        await consumer.getmany(timeout_ms=5_000)
        await process.look_for(consumer, 290)
        await stream.recycle()
        await process.look_for(consumer, 290)

    assert await changes(database) == []


async def test_many_first_checks_take_their_time(database: str, stream: Stream) -> None:
    process = Process(database, stream, *(f"m{number}" for number in range(3_000)), settle_s=200)
    async with process.reading() as consumer:
        await process.look_for(consumer, 245)
        assert await changes(database) == []
        await process.look_for(consumer, 6 * LOOK_S)

    assert len(await changes(database)) == 3_000


async def test_an_unavailable_database_stops_nothing(
    database: str, stream: Stream, postgres_server: PostgresServer
) -> None:
    process = Process(database, stream, "shop")
    name = urlsplit(database).path[1:]
    async with process.reading() as consumer:
        await process.look_for(consumer, PATIENCE_S)
        postgres_server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        postgres_server.disconnect(name)
        await process.look_for(consumer, 4 * LOOK_S)
        postgres_server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await process.look_for(consumer, 4 * LOOK_S)

    assert await changes(database) == [("shop", "no_data", "opened")]


async def test_what_is_open_of_a_monitor_that_is_paused_or_gone_is_over(
    database: str, stream: Stream
) -> None:
    process = Process(database, stream, "shop", "paused")
    async with process.reading() as consumer:
        process.clock.advance(60)
        await process.store.save(checks("---") + checks("---", monitor="paused") + checks("---", monitor="b"))
        process.rules.follow([monitor("paused", paused=True)])
        await process.look_for(consumer, 180)
        assert len(await changes(database)) == 3
        await process.store.save(checks("------", monitor="b"))
        await process.look_for(consumer, 100)

    assert sorted(await changes(database))[-4:] == [
        ("paused", "down", "opened"),
        ("paused", "down", "resolved"),
        ("shop", "down", "opened"),
        ("shop", "down", "resolved"),
    ]
