"""From the topic to the table: all of it, once, and what cannot be stored aside."""

import asyncio
import json
import logging
from collections.abc import Sequence
from functools import partial
from itertools import accumulate
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import msgspec
import pytest

from monitor.delivery.batches import PORTION_BYTES, Decoded, portions, save_apart
from monitor.result import CheckResult, encode, result_id
from monitor.storage.database import RefusedError
from monitor.storage.results import ResultStore
from tests.forwarding import until
from tests.storage.test_results import SLOT, count, query, result, slots
from tests.stream import Stream, eventually


def values(number: int, first: int = 0) -> list[bytes]:
    return [encode(each).value for each in slots(first + number)[first:]]


def of_many_monitors(number: int) -> list[CheckResult]:
    names = [f"m{each % 50}" for each in range(number)]
    return [
        result(SLOT + slot, monitor=name, id=result_id("here", name, SLOT + slot))
        for slot, name in enumerate(names)
    ]


async def stored(database: str, number: int) -> None:
    async def reached() -> bool:
        return await count(database) >= number

    await eventually(f"{number} rows", reached)
    assert await count(database) == number


async def committed(stream: Stream, number: int) -> None:
    async def reached() -> bool:
        return await stream.committed() >= number

    await eventually(f"{number} committed", reached)


async def test_a_thousand_messages_become_a_thousand_rows(
    database: str, store: ResultStore, stream: Stream
) -> None:
    noted: list[UUID] = []
    await stream.send(*values(1_000))

    async with stream.ingested(store, on_stored=noted.extend):
        await stored(database, 1_000)

    assert await stream.committed() == 1_000
    assert set(noted) == {each.id for each in slots(1_000)}
    assert await stream.dead() == []


@pytest.mark.parametrize("bad", [b"", b"\xff", b'{"id":"x"}', b'{"x":' * 100_000])
async def test_what_is_set_aside_is_noted_by_its_id_where_it_has_one(
    store: ResultStore, stream: Stream, bad: bytes
) -> None:
    noted: list[UUID] = []
    (other,) = slots(1)
    await stream.send(bad, encode(other).value.replace(b'"schema":1', b'"schema":2'))

    async with stream.ingested(store, on_stored=noted.extend):
        await committed(stream, 2)

    assert noted == [other.id]


def test_a_batch_may_end_with_a_full_portion() -> None:
    full = SimpleNamespace(value=bytes(PORTION_BYTES))

    assert list(portions([full, full])) == [[full], [full]]


async def test_a_batch_of_many_monitors_is_saved_at_once_in_its_order() -> None:
    results = of_many_monitors(500)
    saved: list[list[CheckResult]] = []

    async def save(some: Sequence[CheckResult]) -> None:
        saved.append(list(some))

    assert await save_apart(save, [Decoded(None, each) for each in results]) == []
    assert saved == [results]


async def test_only_what_is_refused_alone_is_set_aside() -> None:
    results = of_many_monitors(100)
    saved: list[CheckResult] = []

    async def save(some: Sequence[CheckResult]) -> None:
        if results[37] in some:
            raise RefusedError("this one")
        saved.extend(some)

    (letter,) = await save_apart(save, [Decoded(each.scheduled_at, each) for each in results])

    assert letter == (results[37].scheduled_at, "this one")
    assert saved == [*results[:37], *results[38:]]


async def test_large_bodies_are_logged_and_stored_a_few_megabytes_at_a_time(
    stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "monitor.result_log")
    sizes: list[int] = []
    logged: list[int] = []

    class Saver:
        async def save(self, results: Sequence[CheckResult], /) -> int:
            sizes.append(sum(len(each.response_data) for each in results))
            logged.append(sum("fetched" in message for message in caplog.messages))
            return len(results)

    large = "x" * 250_000
    at_once = partial(stream.consumer, max_partition_fetch_bytes=32 << 20)
    await stream.send(
        *[encode(msgspec.structs.replace(each, response_data=large)).value for each in slots(100)]
    )

    async with stream.ingested(Saver(), open_consumer=at_once):
        await committed(stream, 100)

    assert sum(sizes) == 100 * len(large)
    assert max(sizes) <= PORTION_BYTES + len(large)
    assert logged == list(accumulate(size // len(large) for size in sizes))


async def test_each_message_is_logged_as_the_first_version_did(
    database: str, store: ResultStore, stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "monitor.result_log")
    (value,) = values(1)
    await stream.send(value)

    async with stream.ingested(store):
        await stored(database, 1)

    assert f"AIOKafka Consumer fetched: {value!r}" in caplog.messages


async def test_of_a_long_message_the_beginning_is_logged(
    database: str, store: ResultStore, stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "monitor.result_log")
    value = encode(result(SLOT, response_data="\x1b" * 5_000)).value
    await stream.send(value)

    async with stream.ingested(store):
        await stored(database, 1)

    beginning = repr(value)[:1_000]
    assert f"AIOKafka Consumer fetched: {beginning}…" in caplog.messages


async def test_a_message_that_comes_twice_is_one_row(
    database: str, store: ResultStore, stream: Stream
) -> None:
    await stream.send(*values(50), *values(60))

    async with stream.ingested(store):
        await committed(stream, 110)

    assert await count(database) == 60


async def test_a_message_of_the_first_version_is_stored(
    database: str, store: ResultStore, stream: Stream
) -> None:
    original = {"timestamp": 1.5, "response_data": "<html>", "response_status": 200, "response_time": 0.25}
    await stream.send(json.dumps(original).encode())

    async with stream.ingested(store):
        await stored(database, 1)

    (row,) = await query(database, "SELECT id, timestamp, data, status, time, monitor, up FROM health_data")
    assert tuple(row) == (1, 1.5, "<html>", 200, 0.25, None, True)


def spoilt(**changes: Any) -> bytes:
    return json.dumps(json.loads(values(1)[0]) | changes).encode()


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (b"<html>", "JSON is malformed"),
        (b"\xff\xfe", "JSON is malformed"),
        (spoilt(up="yes"), "Expected `bool | null`"),
        (spoilt(response_status=99_999_999_999, id=str(UUID(int=1))), "out of int32 range"),
        (spoilt(response_data="a\0b", id=str(UUID(int=1))), "invalid byte sequence"),
        (spoilt(response_data="\ud800"), "surrogate"),
        (spoilt(scheduled_at=-1), "scheduled_at"),
    ],
)
async def test_one_bad_message_among_a_thousand_is_set_aside_alone(
    database: str, store: ResultStore, stream: Stream, bad: bytes, error: str
) -> None:
    good = values(999)
    await stream.send(*good[:700], bad, *good[700:])

    async with stream.ingested(store):
        await committed(stream, 1_000)

    assert await count(database) == 999
    (dead,) = await stream.dead()
    headers = {name: text.decode() for name, text in dead.headers}
    assert (dead.key, dead.value) == (b"monitor 700", bad)
    assert error in headers.pop("error")
    assert float(headers.pop("failed_at")) == pytest.approx(dead.timestamp / 1000, abs=5)
    assert headers.keys() == {"topic", "partition", "offset"}
    assert headers["topic"] == stream.topic
    assert int(headers["partition"]) in range(4)
    assert int(headers["offset"]) in range(1_000)


async def test_who_keeps_watch_learns_of_each_message_that_is_set_aside(
    store: ResultStore, stream: Stream
) -> None:
    letters: list[Any] = []
    await stream.send(*values(2), b"<html>", key=b"shop")

    async with stream.ingested(store, on_dead=letters.append):
        await committed(stream, 3)

    assert [letter.record.key for letter in letters] == [b"shop"]
    assert "JSON is malformed" in letters[0].error


async def test_bad_messages_of_a_batch_that_is_shared_out_are_set_aside_alone(
    database: str, store: ResultStore, stream: Stream
) -> None:
    results = of_many_monitors(1_000)
    for number in (10, 11, 700):
        results[number] = msgspec.structs.replace(results[number], response_data="a\0b")
    await stream.send(*[encode(each).value for each in results], key=b"one")

    async with stream.ingested(store):
        await committed(stream, 1_000)

    assert await count(database) == 997
    dead = [dict(letter.headers)["offset"] for letter in await stream.dead()]
    assert sorted(dead) == [b"10", b"11", b"700"]


async def test_a_message_without_a_value_is_set_aside(
    database: str, store: ResultStore, stream: Stream
) -> None:
    await stream.send(None, *values(1))

    async with stream.ingested(store):
        await committed(stream, 2)

    assert await count(database) == 1
    assert [dead.value for dead in await stream.dead()] == [None]


async def test_a_dead_letter_that_is_too_large_keeps_what_is_known_of_it(
    store: ResultStore, stream: Stream
) -> None:
    bad = b"x" * 1_048_400
    await stream.send(bad, key=b"a monitor")

    async with stream.ingested(store):
        await committed(stream, 1)

    (dead,) = await stream.dead()
    assert (dead.key, dead.value) == (b"a monitor", None)
    assert b"(its 1048409 bytes are too many to keep)" in dict(dead.headers)["error"]


@pytest.mark.parametrize("value", [None, b"x"])
async def test_a_dead_letter_whose_key_is_too_large_keeps_what_is_known_of_it(
    store: ResultStore, stream: Stream, value: bytes | None
) -> None:
    await stream.send(value, key=b"k" * 1_048_400)

    async with stream.ingested(store):
        await committed(stream, 1)

    (dead,) = await stream.dead()
    assert (dead.key, dead.value) == (b"k" * 1_000, None)
    size = 1_048_400 + len(value or b"")
    assert b"(its %d bytes are too many to keep)" % size in dict(dead.headers)["error"]


async def test_all_that_kafka_has_is_stored_without_a_wait_and_what_comes_later_waits_for_the_window(
    database: str, store: ResultStore, stream: Stream
) -> None:
    await stream.send(*values(5_000), key=b"one")
    consumers: list[Any] = []

    def open_consumer() -> Any:
        consumers.append(stream.consumer())
        return consumers[-1]

    async with stream.ingested(store, open_consumer=open_consumer, window_s=3_600):
        await stored(database, 5_000)
        await committed(stream, 5_000)
        await until(consumers[0].paused, "it waits")
        assert consumers[0].paused() == consumers[0].assignment()


async def test_what_comes_in_a_window_is_one_batch(stream: Stream) -> None:
    batches: list[int] = []

    class Noting:
        async def save(self, results: Sequence[CheckResult]) -> int:
            batches.append(len(results))
            return len(results)

    async with stream.ingested(Noting(), window_s=5.0):
        await stream.send(*values(1), key=b"one")
        await committed(stream, 1)
        await stream.send(*values(1, first=1), key=b"one")
        await stream.send(*values(1, first=2), key=b"one")
        await committed(stream, 3)

    assert batches == [1, 2]


async def test_two_members_of_a_group_share_the_messages(
    database: str, store: ResultStore, stream: Stream
) -> None:
    first: list[UUID] = []
    second: list[UUID] = []

    sent: list[bytes] = []

    async def both_took_part() -> bool:
        some = values(20, first=len(sent))
        sent.extend(some)
        await stream.send(*some)
        return bool(first and second)

    async with (
        stream.ingested(store, on_stored=first.extend),
        stream.ingested(store, on_stored=second.extend),
    ):
        await eventually("both members store", both_took_part)
        await stored(database, len(sent))


async def test_what_is_in_hand_at_the_stop_is_saved_and_committed(
    database: str, store: ResultStore, stream: Stream
) -> None:
    await stream.send(*values(500), key=b"one")
    noted = asyncio.Event()

    async with stream.ingested(store, on_stored=lambda _: noted.set()) as stage:
        await noted.wait()
        stage.stop.set()

    assert await stream.committed() == await count(database) > 0
