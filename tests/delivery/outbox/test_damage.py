import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.delivery.outbox.file import OutboxFile, OutboxRow
from monitor.delivery.outbox.outbox import Outbox, OutboxError, open_outbox
from monitor.result import Message

MB = 1_000_000
ROWS = 2_000
PAGE = 16_384


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """An outbox with 2,000 rows of 1 kB, closed."""
    path = tmp_path / "outbox.sqlite"
    outbox = await open_outbox(path, 100 * MB)
    await outbox.append([Message(b"site", f"{number:01000}".encode()) for number in range(1, ROWS + 1)])
    await outbox.close()
    return path


async def kept(outbox: Outbox) -> list[int]:
    """Return the numbers of the rows, each of which must be as it was."""
    rows = await outbox.after(0, 1_000_000, 1 << 40)
    assert all(int(row.value) == row.seq and len(row.value) == 1_000 and row.key == b"site" for row in rows)
    return [row.seq for row in rows]


def moved_aside(path: Path) -> list[Path]:
    return list(path.parent.glob("outbox.sqlite.corrupt-*"))


def size_of(path: Path) -> int:
    return path.stat().st_size


def overwrite(path: Path, place: int, written: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(written)


async def test_a_sound_file_is_left_alone(path: Path) -> None:
    outbox = await open_outbox(path, 100 * MB)

    assert await kept(outbox) == list(range(1, ROWS + 1))
    assert moved_aside(path) == []
    await outbox.close()


DIE = """
import asyncio, os, pathlib, sys
from monitor.delivery.outbox.outbox import open_outbox

def die(event, arguments):
    if event == sys.argv[2] and str(arguments[0]).endswith(sys.argv[3]):
        os._exit(9)

sys.addaudithook(die)
asyncio.run(open_outbox(pathlib.Path(sys.argv[1]), 100_000_000))
"""


def die_at(path: Path, event: str, file: str) -> None:
    """Open the outbox in a process that ends at this event of Python, before it happens."""
    ended = subprocess.run([sys.executable, "-c", DIE, str(path), event, file], check=False, timeout=60)
    assert (ended.returncode, path.exists()) == (9, False)


@pytest.mark.parametrize("head", [b"garbage!" * 20, b"\0" * 100, b"x"])
async def test_a_file_with_a_garbage_header_is_moved_aside(path: Path, head: bytes) -> None:
    overwrite(path, 0, head)

    outbox = await open_outbox(path, 100 * MB)

    assert await kept(outbox) == []
    assert len(moved_aside(path)) == 1
    await outbox.append([Message(b"a", b"b")])
    assert outbox.last_seq == 1
    await outbox.close()


async def test_a_file_of_something_else_is_moved_aside(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    path.write_bytes(b"This is a letter, not a database.\n" * 1_000)

    outbox = await open_outbox(path, MB)

    assert (outbox.rows, len(moved_aside(path))) == (0, 1)
    await outbox.close()


async def test_an_empty_file_is_a_new_outbox(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    path.touch()

    outbox = await open_outbox(path, MB)

    assert (outbox.rows, moved_aside(path)) == (0, [])
    await outbox.close()


async def test_a_torn_log_costs_only_what_was_torn(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    writer = OutboxFile(path)
    torn = tmp_path / "torn"
    torn.mkdir()
    for seq in range(1, 11):
        writer.insert([*_rows(seq, seq)])
    for suffix in ("", "-wal"):
        (torn / f"outbox.sqlite{suffix}").write_bytes(path.with_name(path.name + suffix).read_bytes())
    writer.close()
    wal = torn / "outbox.sqlite-wal"
    with wal.open("r+b") as file:
        file.truncate(wal.stat().st_size - 5_000)

    outbox = await open_outbox(torn / "outbox.sqlite", MB)

    assert await kept(outbox) == list(range(1, 10))
    assert moved_aside(torn / "outbox.sqlite") == []
    await outbox.close()


def _rows(first: int, last: int) -> list[OutboxRow]:
    return [OutboxRow(seq, b"site", f"{seq:01000}".encode()) for seq in range(first, last + 1)]


def damage_while_open(outbox: Outbox, path: Path) -> None:
    """Flip bytes in pages that SQLite does not have in its cache."""
    assert outbox._file
    db = outbox._file._db
    outbox._thread.submit(lambda: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()).result()
    outbox._thread.submit(lambda: db.execute("PRAGMA shrink_memory").fetchall()).result()
    for page in range(30, 40):
        overwrite(path, page * PAGE, b"\xff" * 300)


async def test_a_truncated_file_is_moved_aside_and_one_line_names_it(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with path.open("r+b") as file:
        file.truncate(size_of(path) // 2)

    outbox = await open_outbox(path, 100 * MB)

    assert await kept(outbox) == []
    (aside,) = moved_aside(path)
    (line,) = caplog.messages
    assert line.startswith(f"The outbox is damaged, a new one is begun; the old file is {aside.name}: ")
    assert size_of(aside) > MB
    await outbox.close()


@pytest.mark.parametrize("column", ["key", "value"])
async def test_a_row_that_holds_something_else_is_damage(path: Path, column: str) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA ignore_check_constraints = ON")
    with db:
        db.execute(f"UPDATE outbox SET {column} = 'text' WHERE seq = 1234")  # noqa: S608
    db.close()

    outbox = await open_outbox(path, 100 * MB)

    assert await kept(outbox) == []
    assert len(moved_aside(path)) == 1
    await outbox.close()


async def test_damage_that_is_found_while_running_begins_a_new_file_whose_numbers_go_on(path: Path) -> None:
    outbox = await open_outbox(path, 100 * MB)
    damage_while_open(outbox, path)

    assert await kept(outbox) == []
    await outbox.append([Message(b"site", b"%01000d" % (ROWS + 1))])

    assert await kept(outbox) == [ROWS + 1]
    assert (outbox.rows, outbox.last_seq) == (1, ROWS + 1)
    assert len(moved_aside(path)) == 1
    await outbox.close()


async def test_a_damaged_file_that_cannot_be_renamed_is_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = await open_outbox(path, 100 * MB)
    damage_while_open(outbox, path)
    with monkeypatch.context() as context:
        context.setattr(Path, "rename", refused)
        with pytest.raises(OutboxError, match="not permitted"):
            await kept(outbox)
        with pytest.raises(OutboxError, match="not permitted"):
            await outbox.after(1_000, 1_000, MB)

    assert await kept(outbox) == []
    await outbox.close()


def refused(*_: object) -> None:
    raise PermissionError("not permitted")
