"""What is stored, and what is refused."""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import msgspec
import pytest

from monitor.result import CheckResult, Evidence, Phases, Reason, StepResult, Tls, decode, result_id
from monitor.runtime.text import DAY_S
from monitor.storage.database import Database, RefusedError
from monitor.storage.results import Enter, ResultStore, stored
from tests.postgres import PostgresServer, result_store

SLOT = 1_760_000_000.5


def result(scheduled_at: float = SLOT, **changes: Any) -> CheckResult:
    found = CheckResult(
        timestamp=scheduled_at + 0.25,
        response_data="<html>ä</html>",
        response_status=200,
        response_time=0.5,
        id=result_id("here", "shop", scheduled_at),
        monitor="shop",
        url="https://shop.example/",
        location="here",
        scheduled_at=scheduled_at,
        up=True,
    )
    return msgspec.structs.replace(found, **changes)


def slots(count: int, step_s: float = 1.0) -> list[CheckResult]:
    return [result(SLOT + slot * step_s) for slot in range(count)]


async def query(uri: str, sql: str, *arguments: Any) -> list[Any]:
    connection = await asyncpg.connect(uri)
    try:
        rows: list[Any] = await connection.fetch(sql, *arguments)
    finally:
        await connection.close()
    return rows


async def days(uri: str) -> list[str]:
    found = await query(
        uri, "SELECT relname FROM pg_class WHERE relname ~ '^health_data_[0-9]{8}$' ORDER BY 1"
    )
    return [row["relname"].removeprefix("health_data_") for row in found]


async def count(uri: str) -> int:
    return int((await query(uri, "SELECT count(*) FROM health_data"))[0][0])


async def test_every_field_of_a_result_has_its_column(database: str, store: ResultStore) -> None:
    whole = result(
        up=False,
        reason=Reason.CERTIFICATE_EXPIRING,
        detail="in 3 days",
        phases=Phases(resolve=0.5, connect=0.25, tls=0.125, processing=1.5, transfer=None),
        redirects=2,
        http_version="1.1",
        ip="2001:db8::1",
        body_bytes=3_000_000_000,
        body_truncated=True,
        certificate_expires_at=1_800_000_000.0,
        degraded=True,
        tls=Tls("TLS 1.3", "TLS_AES_256_GCM_SHA384", "ab", "CN=a", "CN=b", "a, b", "01", 1_900_000_000.0),
        evidence=Evidence({"Server": "a"}, "Not Ü"),
        steps=(StepResult("log in", 403, 0.25, Phases(connect=0.125), "status"),),
    )

    assert await store.save([whole]) == 1

    (row,) = await query(database, "SELECT * FROM health_data")
    *others, tls, evidence, steps = tuple(row)[1:]
    assert msgspec.json.decode(tls, type=Tls) == whole.tls
    assert msgspec.json.decode(evidence, type=Evidence) == whole.evidence
    assert msgspec.json.decode(steps, type=tuple[StepResult, ...]) == whole.steps
    assert tuple(others) == (
        whole.timestamp,
        "<html>ä</html>",
        200,
        0.5,
        whole.id,
        "shop",
        "https://shop.example/",
        "here",
        SLOT,
        False,
        "certificate_expiring",
        "in 3 days",
        *(0.5, 0.25, 0.125, 1.5, None),
        *(2, "1.1", ip_address("2001:db8::1"), 3_000_000_000, True),
        *(datetime.fromtimestamp(1_800_000_000, UTC), True),
    )


async def test_what_the_first_version_did_not_record_is_null(database: str, store: ResultStore) -> None:
    await store.save([result(monitor="", url="", location="", response_status=None, ip="fe80::1%eth0")])

    (row,) = await query(database, "SELECT monitor, url, location, status, host(ip) FROM health_data")
    assert tuple(row) == (None, None, None, None, "fe80::1")


async def test_of_two_checks_of_one_slot_the_first_is_stored_and_counts(database: str) -> None:
    entered: list[CheckResult] = []

    async def enter(results: Sequence[CheckResult]) -> Callable[[], None]:
        entered.extend(results)
        return lambda: None

    async def open_books(_connection: Any, _results: object) -> Enter:
        return enter

    twice = ResultStore(Database(database), open_books)
    try:
        await twice.save([result(), result(up=False)])
    finally:
        await twice.database.close()

    assert [row["up"] for row in await query(database, "SELECT up FROM health_data")] == [True]
    assert [each.up for each in entered] == [True]


async def test_a_result_that_comes_twice_is_one_row(database: str, store: ResultStore) -> None:
    first, second, third = slots(3)

    assert await store.save([first, second, first]) == 2
    assert await store.save([first, second, third]) == 1
    assert await count(database) == 3


async def test_messages_of_the_first_version_with_the_same_instant_are_one_row_each(
    database: str, store: ResultStore
) -> None:
    text = '{"timestamp":1760000000.5,"response_data":"%s","response_status":200,"response_time":1}'
    first, second = (decode((text % body).encode()) for body in "ab")

    assert await store.save([first, second]) == 2
    assert await store.save([second, first, second]) == 0
    assert await stored(store.database, [first, second]) == {first.id, second.id}
    assert await count(database) == 2


async def test_a_message_that_gives_a_slot_another_id_is_a_row_of_its_own(store: ResultStore) -> None:
    foreign = result(id=UUID(int=1))

    assert await store.save([result(), foreign]) == 2
    assert await store.save([foreign, result()]) == 0


async def test_a_message_that_gives_an_id_to_two_monitors_is_stored_for_both(store: ResultStore) -> None:
    both = [result(), result(monitor="other")]

    assert await store.save([*both, *both]) == 2
    assert await store.save([*both, result(monitor="third")]) == 1


async def test_ids_rise_in_the_order_of_the_results(database: str, store: ResultStore) -> None:
    await store.save(slots(50))

    rows = await query(database, "SELECT scheduled_at FROM health_data ORDER BY id")
    assert [row[0] for row in rows] == [each.scheduled_at for each in slots(50)]


async def test_nothing_to_save_is_nothing_new(store: ResultStore) -> None:
    assert await store.save([]) == 0


async def test_which_results_are_stored_can_be_asked(store: ResultStore) -> None:
    first, other = slots(2)
    await store.save([first])

    assert await stored(store.database, [first, other]) == {first.id}
    assert await stored(store.database, []) == set()


async def test_rows_are_in_the_partition_of_their_utc_day(database: str, store: ResultStore) -> None:
    midnight = 1_760_054_400.0

    await store.save([result(midnight - 0.001), result(midnight), result(0.0), result(4_102_444_799.9)])

    assert await days(database) == ["19700101", "20251009", "20251010", "20991231"]


async def test_results_of_very_many_days_are_all_stored(database: str, store: ResultStore) -> None:
    assert await store.save(slots(70, DAY_S)) == 70
    assert len(await days(database)) == 70


async def test_partitions_are_made_ahead(database: str, store: ResultStore) -> None:
    await store.maintain()
    await store.maintain()

    wanted = [datetime.fromtimestamp(time.time() + ahead, UTC).strftime("%Y%m%d") for ahead in (0, DAY_S)]
    assert await days(database) == wanted


async def test_a_partition_that_another_process_dropped_is_made_again(
    database: str, store: ResultStore
) -> None:
    await store.save([result()])
    await query(database, "DROP TABLE health_data_20251009")

    assert await store.save([result()]) == 1


async def test_many_processes_may_need_the_same_partition_at_once(database: str) -> None:
    stores = [result_store(database) for _ in range(6)]

    new = await asyncio.gather(*(each.save(slots(20)) for each in stores))

    assert sum(new) == 20
    for each in stores:
        await each.database.close()


async def test_a_reader_does_not_wait_for_a_new_partition(database: str, store: ResultStore) -> None:
    await store.save([result()])
    reader = await asyncpg.connect(database)
    async with reader.transaction():
        await reader.fetch("SELECT * FROM health_data WHERE scheduled_at BETWEEN $1 AND $1 + 1", SLOT)

        assert await store.save([result(SLOT + DAY_S)]) == 1

    await reader.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"response_status": 99_999_999_999},
        {"response_data": "a\0b"},
        {"detail": "\ud800"},
        {"ip": "not an address"},
        {"certificate_expires_at": 1e300},
        {"phases": Phases(tls=1e300)},
        {"body_bytes": 2**70},
        {"monitor": "".join(chr(33 + n * n % 9_000) for n in range(5_000))},
    ],
)
async def test_a_result_that_fits_no_row_is_refused_with_its_batch(
    database: str, store: ResultStore, changes: dict[str, Any]
) -> None:
    with pytest.raises(RefusedError) as refused:
        await store.save([*slots(2), result(SLOT + 9, **changes)])

    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) <= 301
    assert await count(database) == 0


@pytest.mark.parametrize("scheduled_at", [-0.5, 4_102_444_800.0, 1e300, float("nan"), float("inf")])
async def test_a_slot_outside_of_this_age_is_refused(store: ResultStore, scheduled_at: float) -> None:
    with pytest.raises(RefusedError, match="scheduled_at"):
        await store.save([result(scheduled_at)])


async def test_a_cancelled_save_stores_all_or_nothing(database: str, store: ResultStore) -> None:
    await store.save(slots(1))
    saving = asyncio.create_task(store.save(slots(1_000)))
    await asyncio.wait({saving}, timeout=0.002)
    saving.cancel()
    await asyncio.gather(saving, return_exceptions=True)

    assert await count(database) in {1, 1_000}
    assert await store.save(slots(1_000)) + 1 in {1, 1_000}


async def test_a_constraint_that_somebody_added_refuses_its_rows_and_no_others(
    store: ResultStore, database: str, postgres_server: PostgresServer
) -> None:
    name = urlsplit(database).path.strip("/")
    postgres_server.sql("ALTER TABLE health_data ADD CONSTRAINT only_up CHECK (up)", name)

    assert await store.save([result()]) == 1
    with pytest.raises(RefusedError, match="only_up"):
        await store.save([result(SLOT + DAY_S, up=False)])
