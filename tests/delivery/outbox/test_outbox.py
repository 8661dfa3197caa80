import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.delivery.outbox.file import OutboxFile, OutboxRow
from monitor.delivery.outbox.outbox import Outbox, OutboxError, open_outbox
from monitor.result import Message

MB = 1_000_000


def messages(first: int, count: int, size: int = 10) -> list[Message]:
    return [Message(b"site", f"{number:0{size}}".encode()) for number in range(first, first + count)]


def number(value: bytes) -> int:
    return int(value[-10:])


async def values(outbox: Outbox, after: int = 0) -> list[bytes]:
    return [row.value for row in await outbox.after(after, 1_000_000, 1 << 40)]


def size_of(path: Path) -> int:
    return path.stat().st_size


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


@pytest.fixture
async def outbox(path: Path) -> AsyncIterator[Outbox]:
    outbox = await open_outbox(path, 100 * MB)
    yield outbox
    await outbox.close()


async def test_rows_come_out_as_and_in_the_order_in_which_they_went_in(outbox: Outbox) -> None:
    await outbox.append(messages(0, 700))
    await outbox.append(messages(700, 1))

    rows = await outbox.after(0, 1_000, MB)

    assert [(row.key, row.value) for row in rows] == messages(0, 701)
    assert [row.seq for row in rows] == list(range(1, 702))
    assert (outbox.rows, outbox.bytes) == (701, 701 * 14)


async def test_reading_stops_at_either_limit_but_yields_one_row_however_large(outbox: Outbox) -> None:
    await outbox.append(messages(0, 10, size=96))

    assert len(await outbox.after(0, 3, MB)) == 3
    assert len(await outbox.after(0, 10, 250)) == 2
    assert [row.seq for row in await outbox.after(4, 10, 1)] == [5]
    assert await outbox.after(10, 10, MB) == []


async def test_what_was_not_removed_is_there_after_a_restart_and_numbers_go_on(path: Path) -> None:
    outbox = await open_outbox(path, 100 * MB)
    await outbox.append(messages(0, 5))
    await outbox.remove([1, 3, 5, 99])
    await outbox.close()

    outbox = await open_outbox(path, 100 * MB)

    assert (outbox.rows, outbox.bytes) == (2, 28)
    await outbox.append(messages(5, 1))
    assert outbox.last_seq == 6
    assert await values(outbox) == [b"0000000001", b"0000000003", b"0000000005"]
    await outbox.close()


async def test_past_its_size_the_oldest_are_dropped_counted_and_told_once(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = await open_outbox(path, 1_400)

    for first in range(0, 200, 10):
        await outbox.append(messages(first, 10))

    assert outbox.dropped == 100
    assert (outbox.rows, outbox.bytes) == (100, 1_400)
    assert await values(outbox) == [message.value for message in messages(100, 100)]
    assert [record.message for record in caplog.records] == [
        "The outbox is full (0.0 MB), its oldest are dropped: 10 results"
    ]
    await outbox.close()
    assert caplog.messages[-1] == "The outbox is full (0.0 MB), its oldest are dropped: 90 results"


async def test_of_a_batch_larger_than_the_outbox_the_newest_stay(path: Path) -> None:
    outbox = await open_outbox(path, 140)

    await outbox.append(messages(0, 25))

    assert await values(outbox) == [message.value for message in messages(15, 10)]
    await outbox.close()


async def test_space_is_given_back_after_a_drain(path: Path) -> None:
    outbox = await open_outbox(path, 100 * MB)
    for first in range(0, 60, 10):
        await outbox.append(messages(first, 10, size=MB))
    assert size_of(path) > 50 * MB

    await outbox.remove(range(1, 61))

    assert size_of(path) < 25 * MB
    assert size_of(path.with_name("outbox.sqlite-wal")) < 5 * MB
    await outbox.close()


@pytest.mark.usefixtures("outbox")
async def test_an_outbox_belongs_to_one_process_at_a_time(path: Path) -> None:
    with pytest.raises(OutboxError, match="locked"):
        await open_outbox(path, MB)


def test_nobody_waits_for_the_process_that_has_the_file(path: Path) -> None:
    file = OutboxFile(path)

    assert file._db.execute("PRAGMA busy_timeout").fetchone() == (0,)
    file.close()


async def test_a_folder_that_is_not_there_is_an_outbox_error(tmp_path: Path) -> None:
    with pytest.raises(OutboxError, match="unable to open"):
        await open_outbox(tmp_path / "missing" / "outbox.sqlite", MB)


async def test_a_full_disk_takes_no_row_of_a_batch_and_those_before_are_there(path: Path) -> None:
    outbox = await open_outbox(path, 100 * MB)
    await outbox.append(messages(0, 2))
    limit_pages(outbox, 8)

    with pytest.raises(OutboxError, match="full"):
        await outbox.append(messages(2, 300, size=10_000))

    assert (outbox.rows, outbox.bytes, outbox.last_seq) == (2, 28, 2)
    limit_pages(outbox, 100_000)
    await outbox.append(messages(2, 300, size=10_000))
    assert [number(value) for value in await values(outbox)] == list(range(302))
    await outbox.close()


async def test_rows_that_cannot_be_deleted_stay(path: Path) -> None:
    outbox = await open_outbox(path, 100 * MB)
    await outbox.append(messages(0, 10))
    assert outbox._file
    outbox._file._db.execute("PRAGMA query_only = ON")

    with pytest.raises(OutboxError, match="readonly"):
        await outbox.remove(range(1, 6))

    assert outbox.rows == 10
    outbox._file._db.execute("PRAGMA query_only = OFF")
    await outbox.remove(range(1, 6))
    assert outbox.rows == 5
    await outbox.close()


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from monitor.delivery.outbox.outbox import open_outbox
from monitor.result import Message

async def main():
    outbox = await open_outbox(Path(sys.argv[1]), 1_000_000)
    await outbox.append([Message(b"site", b"%d" % number) for number in range(50)])
    await outbox.remove(range(1, 11))
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_what_was_committed_survives_a_killed_program(path: Path) -> None:
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, str(path))
    assert await killed.wait() == -signal.SIGKILL

    outbox = await open_outbox(path, MB)

    assert await values(outbox) == [b"%d" % number for number in range(10, 50)]
    await outbox.close()


def limit_pages(outbox: Outbox, pages: int) -> None:
    """Fill the disk, as far as SQLite can tell."""
    assert outbox._file
    outbox._thread.submit(outbox._file._db.execute, f"PRAGMA max_page_count = {pages}").result()


async def test_a_cancelled_append_is_kept(path: Path) -> None:
    outbox = await open_outbox(path, 100 * MB)
    held = asyncio.Event()
    loop = asyncio.get_running_loop()
    outbox._thread.submit(lambda: asyncio.run_coroutine_threadsafe(held.wait(), loop).result())
    append = asyncio.create_task(outbox.append(messages(0, 3)))
    await asyncio.sleep(0)

    append.cancel()
    with pytest.raises(asyncio.CancelledError):
        await append
    held.set()

    assert len(await values(outbox)) == 3
    await outbox.close()


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("append"), st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=90)), max_size=9)
        ),
        st.tuples(st.just("remove"), st.sets(st.integers(1, 60), max_size=20)),
        st.tuples(st.just("read"), st.tuples(st.integers(0, 70), st.integers(1, 9), st.integers(1, 300))),
        st.tuples(st.just("reopen"), st.none()),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
async def test_the_outbox_behaves_like_a_list(tmp_path_factory: pytest.TempPathFactory, steps: list) -> None:  # type: ignore[type-arg]
    path = tmp_path_factory.mktemp("model") / "outbox.sqlite"
    outbox = await open_outbox(path, MB)
    model: dict[int, Message] = {}
    last = 0
    for step, given_ in steps:
        if step == "append":
            for message in given_:
                last += 1
                model[last] = Message(*message)
            await outbox.append([Message(*message) for message in given_])
            assert outbox.last_seq == last
        elif step == "remove":
            await outbox.remove(given_)
            model = {seq: message for seq, message in model.items() if seq not in given_}
        elif step == "reopen":
            await outbox.close()
            outbox = await open_outbox(path, MB)
        else:
            after, max_rows, max_bytes = given_
            rows = await outbox.after(after, max_rows, max_bytes)
            expected = [OutboxRow(seq, *message) for seq, message in sorted(model.items()) if seq > after]
            assert rows == expected[: len(rows)]
            assert len(rows) <= max_rows
            assert len(rows) <= 1 or sum(row.size for row in rows) <= max_bytes
            assert bool(rows) == bool(expected)
        assert outbox.rows == len(model)
        assert outbox.bytes == sum(len(key) + len(value) for key, value in model.values())
    await outbox.close()
