"""What is too old: results, failed ones, and bodies."""

import asyncio
import time
from contextlib import suppress
from typing import Any

import asyncpg
import msgspec
import pytest

from monitor.result import CheckResult, Evidence, Phases, Reason, Tls, result_id
from monitor.runtime.text import DAY_S
from monitor.storage import expiry
from monitor.storage.database import Database, StoreUnavailableError
from monitor.storage.expiry import KeptDays, _carry_out, _Removal, expire
from monitor.storage.partitions import DATA, name_of
from monitor.storage.results import ResultStore
from monitor.web.queries import PageReader, Place
from tests.postgres import result_store
from tests.storage.test_results import query, result
from tests.stream import eventually

WAITING = (
    "SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database"
    " WHERE datname = current_database() AND NOT granted"
)
BODY = "<p>Not found.</p>" * 400
EVIDENCE = Evidence({"Server": "nginx"}, "<p>Not found.</p>")
FAILED: dict[str, Any] = {
    "up": False,
    "reason": Reason.STATUS,
    "detail": "status 503, expected 200-399",
    "response_status": 503,
    "response_data": BODY,
    "phases": Phases(resolve=0.5, connect=0.25, tls=0.125, processing=1.5, transfer=0.25),
    "ip": "2001:db8::1",
    "certificate_expires_at": 1_900_000_000.0,
    "tls": Tls("TLS 1.3", "TLS_AES_256_GCM_SHA384", "ab", "CN=a", "CN=b", "a, b", "01", 1_900_000_000.0),
    "evidence": EVIDENCE,
}
ROWS = "SELECT * FROM {} ORDER BY scheduled_at"
FILES = (
    "SELECT relname, pg_relation_filenode(oid) FROM pg_class"
    " WHERE relname ~ '^health_.*_[0-9]{8}$' ORDER BY relname"
)


def noon() -> float:
    """Return that of today, which is another day in the middle of some runs."""
    return time.time() // DAY_S * DAY_S + DAY_S / 2


def on(days_ago: float, **changes: Any) -> CheckResult:
    at = noon() - days_ago * DAY_S
    return result(at, id=result_id("here", "shop", at), **changes)


def day(days_ago: int) -> int:
    return int(noon() // DAY_S) - days_ago


async def ids(database: str, table: str) -> list[Any]:
    return [row["result_id"] for row in await query(database, ROWS.format(table))]


async def expired(database: str, kept: KeptDays) -> None:
    """Expire as a process of its own: it tries again while another one is at it."""
    own = Database(database)
    while True:
        try:
            await expire(own, kept)
        except StoreUnavailableError:
            continue
        break
    await own.close()


async def test_expired_days_are_dropped_and_original_rows_are_kept(
    database: str, store: ResultStore, caplog: pytest.LogCaptureFixture
) -> None:
    kept, old = on(2), on(4, **FAILED)
    await store.save([kept, old])
    await query(database, "INSERT INTO health_data (timestamp, data, status, time) VALUES (1, 'old', 200, 1)")

    with caplog.at_level("INFO"):
        await expire(store.database, KeptDays(3, 3, None))
        await expire(store.database, KeptDays(3, 3, None))

    assert caplog.messages == ["1 day of results dropped, older than 3 d"]
    assert await ids(database, "health_data") == [kept.id, None]
    assert await ids(database, "health_failures") == []
    assert await store.save([old]) == 1


async def test_failed_results_outlive_the_others_with_all_that_was_found(
    database: str, store: ResultStore
) -> None:
    failed, offline = on(4, **FAILED), on(4.1, up=None, reason=Reason.MONITOR_OFFLINE)
    await store.save([on(2, **FAILED), failed, on(4.2), offline, on(9, **FAILED)])
    (_, before, *_) = await query(database, ROWS.format("health_data") + " DESC")

    await expire(store.database, KeptDays(3, 8, None))

    assert [tuple(row) for row in await query(database, ROWS.format("health_failures"))] == [tuple(before)]
    assert len(await ids(database, "health_data")) == 1
    shown = await PageReader(store.database).results("shop", 0, Place(), 10)
    assert [row.scheduled_at for row in shown] == [noon() - 2 * DAY_S, failed.scheduled_at]
    assert msgspec.convert(shown[1].evidence, Evidence) == EVIDENCE


@pytest.mark.parametrize("days_off", [400, -400])
async def test_a_clock_that_is_wrong_removes_nothing(
    database: str, store: ResultStore, monkeypatch: pytest.MonkeyPatch, days_off: int
) -> None:
    await store.save([on(4), on(2, **FAILED)])
    files = await query(database, FILES)
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + days_off * DAY_S)

    await expire(store.database, KeptDays(5, 5, 5))

    assert await query(database, FILES) == files


async def test_failed_results_of_their_first_kept_day_stay(database: str, store: ResultStore) -> None:
    first, before = on(8, **FAILED), on(9, **FAILED)
    await store.save([first, before])

    await expire(store.database, KeptDays(3, 8, None))

    assert await ids(database, "health_failures") == [first.id]


async def test_failed_results_are_dropped_when_they_are_too_old(
    database: str, store: ResultStore, caplog: pytest.LogCaptureFixture
) -> None:
    await store.save([on(4, **FAILED), on(6, **FAILED)])
    await expire(store.database, KeptDays(3, 7, None))

    with caplog.at_level("INFO"):
        await expire(store.database, KeptDays(3, 5, None))

    assert caplog.messages == ["1 day of failed results dropped, older than 5 d"]
    assert await ids(database, "health_failures") == [on(4).id]


async def test_a_result_that_comes_after_its_day_left_is_one_row_in_the_end(
    database: str, store: ResultStore
) -> None:
    failed, late = on(4, **FAILED), on(4.1, **FAILED)
    await store.save([failed])
    await expire(store.database, KeptDays(3, 8, None))

    await store.save([failed, late])
    await expire(store.database, KeptDays(3, 8, None))

    assert await ids(database, "health_failures") == [late.id, failed.id]
    assert await ids(database, "health_data") == []


async def test_both_tables_have_the_same_columns(database: str) -> None:
    ours, others = [
        await query(
            database,
            "SELECT attname, atttypid, attnum FROM pg_attribute"
            " WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            table,
        )
        for table in ("health_data", "health_failures")
    ]

    assert ours == others


async def test_bodies_are_removed_and_nothing_else(
    database: str, store: ResultStore, caplog: pytest.LogCaptureFixture
) -> None:
    results = [on(2), on(4), on(4.1, **FAILED)]
    await store.save(results)
    failed, *whole = map(dict, await query(database, ROWS.format("health_data")))

    with caplog.at_level("INFO"):
        await expire(store.database, KeptDays(90, 90, 3))
        files = await query(database, FILES)
        await expire(store.database, KeptDays(90, 90, 3))

    assert caplog.messages == ["1 day of bodies removed, older than 3 d"]
    assert await query(database, FILES) == files
    found = list(map(dict, await query(database, ROWS.format("health_data"))))
    evidence = msgspec.json.decode(found[0]["evidence"], type=Evidence)
    assert evidence == msgspec.structs.replace(EVIDENCE, body="")
    assert found == [
        failed | {"data": None, "evidence": found[0]["evidence"]},
        whole[0] | {"data": None},
        whole[1],
    ]
    assert await store.save([*results, on(4.2)]) == 1


async def test_a_day_without_bodies_is_the_same_in_all_but_them(database: str, store: ResultStore) -> None:
    await store.save([on(3), on(4)])

    await expire(store.database, KeptDays(90, 90, 3))

    kept, bare = [
        await query(
            database,
            "SELECT regexp_replace(pg_get_indexdef(indexrelid), '.* USING', '') AS definition,"
            " indisunique, inhparent FROM pg_index LEFT JOIN pg_inherits ON inhrelid = indexrelid"
            " WHERE indrelid = to_regclass($1) ORDER BY 1",
            name_of(DATA, day(ago)),
        )
        for ago in (3, 4)
    ]
    assert kept == bare
    assert len(bare) == 3
    assert await query(database, "SELECT FROM pg_constraint WHERE conname = 'slots'") == []


async def test_a_day_that_never_had_bodies_is_not_copied(database: str, store: ResultStore) -> None:
    await store.save([on(4, response_data="")])
    files = await query(database, FILES)

    await expire(store.database, KeptDays(90, 90, 3))

    assert await query(database, FILES) == files


async def test_failed_results_lose_their_bodies_when_they_are_too_old_for_them(
    database: str, store: ResultStore
) -> None:
    bodies = (
        "SELECT coalesce(length(data), 0), length(evidence->>'body') FROM health_failures"
        " ORDER BY scheduled_at"
    )
    await store.save([on(4, **FAILED), on(6, **FAILED)])
    await expire(store.database, KeptDays(3, 90, 5))
    assert [tuple(row) for row in await query(database, bodies)] == [(0, 0), (len(BODY), 17)]

    await store.save([on(6.1, **FAILED)])
    await expire(store.database, KeptDays(3, 90, 5))

    assert [tuple(row) for row in await query(database, bodies)] == [(0, 0), (0, 0), (len(BODY), 17)]


async def test_several_processes_may_expire_at_once(database: str, store: ResultStore) -> None:
    failed = [on(days, **FAILED) for days in (8, 7, 6, 5)]
    await store.save([*failed, on(5.1)])

    await asyncio.gather(*(expired(database, KeptDays(3, 90, 5)) for _ in range(5)))

    assert await ids(database, "health_failures") == [each.id for each in failed]
    assert await ids(database, "health_data") == []


async def test_a_day_that_another_process_has_removed_is_left_alone(
    store: ResultStore, caplog: pytest.LogCaptureFixture
) -> None:
    await store.save([on(5), on(4)])

    async def remove_both(connection: Any, _day: int) -> None:
        for ago in (5, 4):
            await connection.execute(f"DROP TABLE {name_of(DATA, day(ago))}")

    with caplog.at_level("INFO"):
        await _carry_out(store.database, _Removal(DATA, 3, noon(), remove_both, "results dropped"))

    assert caplog.messages == ["1 day of results dropped, older than 3 d"]


async def test_a_day_is_worked_off_with_patience_for_its_rows_but_not_for_others(
    database: str, store: ResultStore
) -> None:
    await store.save([on(4)])
    limits: list[str] = []

    async def note(connection: Any, _day: int) -> None:
        limits.extend([await connection.fetchval(f"SHOW {of}_timeout") for of in ("lock", "statement")])

    removal = _Removal(DATA, 3, noon(), note, "results dropped")
    reader = await asyncpg.connect(database)
    async with reader.transaction():
        await reader.fetch("SELECT FROM health_data")
        with pytest.raises(StoreUnavailableError):
            await _carry_out(store.database, removal)
        assert limits == []
    await reader.close()

    await _carry_out(store.database, removal)

    assert limits == ["2s", "1h"]


@pytest.mark.parametrize("kept", [KeptDays(3, 90, None), KeptDays(90, 90, 3)])
async def test_a_failed_result_that_comes_while_its_day_is_copied_is_not_lost(
    database: str, store: ResultStore, monkeypatch: pytest.MonkeyPatch, kept: KeptDays
) -> None:
    late = on(4.1, **FAILED)
    await store.save([on(4, **FAILED)])
    other = result_store(database)

    async def save() -> None:
        while True:
            with suppress(StoreUnavailableError):
                await other.save([late])
                break

    copy = expiry._copy

    async def saved_or_waits() -> object:
        return saving[0].done() or await query(database, WAITING)

    async def copy_slowly(*arguments: Any) -> None:
        await copy(*arguments)
        saving.append(asyncio.create_task(save()))
        await eventually("the other saved or waits", saved_or_waits)

    saving: list[asyncio.Task[None]] = []
    with monkeypatch.context() as patch:
        patch.setattr(expiry, "_copy", copy_slowly)
        with suppress(StoreUnavailableError):
            await expire(store.database, kept)
    await saving[0]
    await expire(store.database, kept)

    (rows,) = await query(
        database,
        "SELECT count(DISTINCT result_id) FROM"
        " (SELECT * FROM health_data UNION ALL SELECT * FROM health_failures) AS result",
    )
    assert rows[0] == 2
    await other.database.close()


@pytest.mark.parametrize("kept", [KeptDays(3, 90, None), KeptDays(90, 90, 3)])
async def test_what_cannot_be_done_now_is_done_wholly_later(
    database: str, store: ResultStore, caplog: pytest.LogCaptureFixture, kept: KeptDays
) -> None:
    await store.save([on(4, **FAILED), on(4.1)])
    before = await query(database, ROWS.format("health_data"))
    reader = await asyncpg.connect(database)
    async with reader.transaction():
        await reader.fetch("SELECT FROM health_data")

        with caplog.at_level("INFO"), pytest.raises(StoreUnavailableError) as error:
            await expire(store.database, kept)

    assert caplog.messages == [f"what is too old is removed later: {error.value}"]

    assert await query(database, ROWS.format("health_data")) == before
    assert await ids(database, "health_failures") == []
    await expire(store.database, kept)
    assert await query(database, ROWS.format("health_data")) != before
    await reader.close()
