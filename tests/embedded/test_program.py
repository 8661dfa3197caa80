import os
import stat
from pathlib import Path

import asyncpg
import pytest

from tests.embedded.running import eventually, gone, program

ORDINARY = 65_534


def uids() -> list[int]:
    return [0, ORDINARY] if os.geteuid() == 0 else [os.geteuid()]


@pytest.fixture(params=uids(), ids=lambda uid: "root" if uid == 0 else "ordinary")
def account(request: pytest.FixtureRequest, short_dir: Path) -> int:
    uid: int = request.param
    os.chown(short_dir, uid, -1)
    return uid


async def count_starts(uri: str) -> int:
    connection = await asyncpg.connect(uri)
    await connection.execute("CREATE TABLE IF NOT EXISTS starts (n integer)")
    await connection.execute("INSERT INTO starts VALUES (1)")
    starts: int = await connection.fetchval("SELECT count(*) FROM starts")
    await connection.close()
    return starts


async def test_a_killed_program_leaves_no_server_and_loses_no_row(account: int, short_dir: Path) -> None:
    with program(short_dir, account) as (process, facts):
        assert facts["uid"] == account
        assert await count_starts(facts["uri"]) == 1
        process.kill()
        await eventually(lambda: all(map(gone, facts["pids"])), "servers gone with the program")

    with program(short_dir, account) as (_, again):
        assert await count_starts(again["uri"]) == 2

    await eventually(lambda: all(map(gone, again["pids"])), "servers gone after an orderly end", 0)


async def test_servers_that_outlive_a_killed_program_are_ended_by_the_next(
    account: int, short_dir: Path
) -> None:
    with program(short_dir, account, path="/without-setpriv") as (process, left):
        await count_starts(left["uri"])
        process.kill()
        process.wait()
    assert not any(map(gone, left["pids"]))

    with program(short_dir, account, path="/without-setpriv") as (_, facts):
        assert await count_starts(facts["uri"]) == 2
        assert all(map(gone, left["pids"]))


def test_only_postgres_may_pass_the_folder_and_nobody_else_reads_in_it(account: int, short_dir: Path) -> None:
    short_dir.chmod(0o755)

    with program(short_dir, account):
        modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in short_dir.iterdir()}

        assert stat.S_IMODE(short_dir.stat().st_mode) == (0o710 if account == 0 else 0o700)
    assert {"broker.log", "broker.pid", "lock", "postgres.log"} < modes.keys()
    assert all(mode in {0o600, 0o700} for mode in modes.values())
