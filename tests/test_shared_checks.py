import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count, pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from monitor.config.model import Config, Monitor
from monitor.embedded.broker import Broker
from monitor.shared_checks import SharedChecks, shared_checks
from monitor.sharing.assignment import Announcement, decode_announcement, encode
from monitor.sharing.leader import assign
from monitor.sharing.shards import SHARDS
from tests.apache_kafka import ApacheKafka
from tests.forwarding import until
from tests.freeze import freeze
from tests.program import Program, Start
from tests.program import until as eventually
from tests.test_main import rows


@pytest.fixture(autouse=True)
def _short_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.delivery.kafka.clients.SESSION_MS", 2_000)  # a join takes half of it
    monkeypatch.setattr("monitor.delivery.kafka.clients._HEARTBEAT_MS", 100)
    monkeypatch.setattr("monitor.sharing.leader.AHEAD_S", 0.5)


MONITORS = tuple(Monitor(name=f"m{n}", url=f"http://m{n}.example/") for n in range(100))


class Processes:
    """Makes processes, each with a folder and a name of its own."""

    def __init__(self, folder: Path, bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._bootstrap = bootstrap
        self._monkeypatch = monkeypatch

    def config(self, name: str, **settings: Any) -> Config:
        (self._folder / name).mkdir(exist_ok=True)
        return Config(
            **{"monitors": MONITORS, "location": "here", "kafka_bootstrap": self._bootstrap} | settings,
            data_dir=self._folder / name,
        )

    def make(self, name: str, **settings: Any) -> SharedChecks:
        self._monkeypatch.setattr("monitor.shared_checks.PROCESS", name)
        made = shared_checks(self.config(name, **settings))
        assert made
        return made


@pytest.fixture
def processes(tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> Processes:
    """Processes that use the embedded broker as they would any other."""
    return Processes(tmp_path, broker.bootstrap, monkeypatch)


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Processes:
    """Processes without a broker."""
    return Processes(tmp_path, "127.0.0.1:1", monkeypatch)


@asynccontextmanager
async def running(*processes: SharedChecks) -> AsyncIterator[None]:
    """Run them, and end them, orderly where that was not done."""
    async with asyncio.TaskGroup() as tasks:
        for each in processes:
            tasks.create_task(each.run())
        yield
        for each in processes:
            each.group.stop.set()


def divided(one: SharedChecks, two: SharedChecks) -> bool:
    """Return whether each has its share of all."""
    return min(shards(one), shards(two)) >= 28 and shards(one) + shards(two) == SHARDS


def shards(process: SharedChecks) -> int:
    return len(process.process.members.get(process.process.name, ()))


@pytest.mark.parametrize("settings", [{"share_checks": False}, {"kafka_bootstrap": "embedded"}])
def test_a_process_that_can_have_no_others_shares_nothing(alone: Processes, settings: dict[str, Any]) -> None:
    assert shared_checks(alone.config("one", **settings)) is None


async def test_two_processes_share_all_monitors_and_hand_them_over(
    processes: Processes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "monitor")
    one, two = processes.make("one"), processes.make("two")
    assert len(one.own_shards()) == SHARDS

    async with running(one):
        await until(lambda: shards(one) == SHARDS, "the first one has all")
        async with asyncio.TaskGroup() as tasks:
            leaving = tasks.create_task(two.run())
            await until(lambda: divided(one, two), "each has its share")
            assert sorted([*one.own_shards(), *two.own_shards()]) == list(range(SHARDS))
            slot = time.time() + 60
            assert all(one.take(each.name, slot) is not two.take(each.name, slot) for each in MONITORS)
            await two.hand_over()
            assert two.process.is_done
            await leaving
        await until(lambda: len(one.process.members) == 1, "the other one has left")

    assert shards(one) == SHARDS
    assert not two.group.kafka.unavailable_since_at
    assert one.process.hand_overs == {"start": 1, "planned": 2}
    assert f"checks are shared; processes: 1, shards of this one: 64 of {SHARDS}" in caplog.messages
    assert f"checks were handed over; processes: 2, shards of this one: 36 of {SHARDS}" in caplog.messages


async def test_a_process_that_shares_with_nobody_ends_at_once(processes: Processes) -> None:
    one = processes.make("one")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(one.run())
        await until(lambda: shards(one), "it has all")
        assert one.take("m1", time.time() + 60)
        began = one.process.epoch
        await one.hand_over()
        assert one.take("m2", time.time() - 1)  # it may be late
        assert not one.take("m2", time.time() + 1)

    assert one.process.epoch != began  # it was announced, should another one join just now
    assert not one.process.is_done


async def test_a_process_that_ends_before_it_has_an_assignment_waits_for_none(alone: Processes) -> None:
    one = alone.make("one")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(one.run())
        await one.hand_over()

    assert one.process.epoch is None


async def test_a_hand_over_that_nobody_answers_ends_at_its_limit(alone: Processes) -> None:
    one = alone.make("one", shutdown_grace_s=0.1)
    other = Announcement(
        "two", None, leaving=False, done=False, clock=time.time(), configurations=(0,) * SHARDS
    )

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(one.run())
        one._receive(assign({"1": one.group.announce(), "2": encode(other)}, time.time()))
        await one.hand_over()

    assert not one.process.is_done


async def test_other_monitors_are_announced_and_a_difference_is_logged_once(
    processes: Processes, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = processes.make("one"), processes.make("two")

    async with running(one, two):
        await until(lambda: divided(one, two), "each has its share")
        assert one.process.differing == []
        two.follow(processes.config("two", monitors=MONITORS[:50]))
        await until(lambda: one.process.differing, "the other one has other monitors")
        one.follow(processes.config("one", monitors=MONITORS[:50]))
        await until(lambda: not two.process.differing, "they have the same again")

    logged = [each for each in caplog.messages if "has other monitors in" in each]
    assert len(logged) <= 2


async def test_the_newest_assignment_is_kept_for_a_start_without_kafka(
    processes: Processes, alone: Processes
) -> None:
    one = processes.make("one")
    async with running(one):
        await until((processes.config("one").data_dir / "shared-checks").exists, "it is kept")
        name = one.process.name

    again = alone.make("one")

    assert again.process._stored is not None
    assert again.process._stored.process == name
    assert decode_announcement(one.process.to_store(0)).assignment == again.process._stored.assignment


async def test_an_assignment_that_cannot_be_kept_is_logged(
    processes: Processes, caplog: pytest.LogCaptureFixture
) -> None:
    one = processes.make("one")
    (processes.config("one").data_dir / "shared-checks").mkdir()

    async with running(one):
        await until(lambda: "shared-checks cannot be written: Is a directory" in caplog.text, "it is logged")

    assert shards(one) == SHARDS


async def test_a_process_that_hears_nothing_of_kafka_goes_on_or_stops_as_it_is_configured(
    processes: Processes, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "monitor.shared_checks")
    goes_on, stops = processes.make("one"), processes.make("two", when_alone="stop")
    slots = count(int(time.time()) + 60)

    def checks(process: SharedChecks) -> int:
        slot = float(next(slots))
        return sum(process.take(each.name, slot) for each in MONITORS)

    async with running(goes_on, stops):
        await until(lambda: divided(goes_on, stops), "each has its share")
        shares = checks(goes_on), checks(stops)
        assert sum(shares) == len(MONITORS)
        freeze(broker.child.process.pid)
        await until(lambda: not checks(stops), "one stops")
        assert checks(goes_on) == shares[0]
        broker.child.process.send_signal(signal.SIGCONT)
        await until(lambda: checks(stops) and divided(goes_on, stops), "it makes checks again")

    assert "others may have the checks of this process: it makes none until Kafka says more" in caplog.text
    assert "this process makes checks again" in caplog.messages


async def test_a_start_makes_the_checks_of_what_may_be_missed(processes: Processes) -> None:
    one = processes.make("one")
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1

    one.on_missed = look
    known: list[float] = []
    one.on_known = lambda: known.append(shards(one))
    async with running(one):
        await until(lambda: shards(one) == SHARDS and looks, "it looked")
        assert known == [SHARDS]
    now = time.time()

    assert one.missed("m1", [now - 1_000]) == []


def test_the_program_shares_its_checks_and_makes_them_at_their_slots(
    tmp_path: Path, broker: Broker, database: str
) -> None:
    program = Program(
        tmp_path,
        {
            "pg_uri": database,
            "kafka_bootstrap": broker.bootstrap,
            "monitors": [{"name": "m1", "url": "http://127.0.0.1:1/", "interval_s": 0.2}],
        },
    )
    try:
        program.start()
        program.prints(r"checks are shared; processes: 1, shards of this one: 64 of 64")
        assert program.stop() == 0
    finally:
        program.end()
    assert (tmp_path / "d" / "shared-checks").exists()


@pytest.mark.kafka
def test_three_processes_share_hand_over_and_take_over(
    program: Start, apache_kafka: ApacheKafka, database: str
) -> None:
    settings: dict[str, Any] = {
        "pg_uri": database,
        "kafka_bootstrap": apache_kafka.bootstrap("PLAINTEXT"),
        "kafka_topic": f"t-{uuid4().hex}",
        "kafka_group": f"g-{uuid4().hex}",
        "location": "here",
        "shutdown_grace_s": 10,
        "monitors": [{"name": f"m{n}", "url": "http://127.0.0.1:1/", "interval_s": 7} for n in range(60)],
    }
    one, two, three = (program(**settings) for _ in range(3))
    for each in (one, two, three):
        each.start()
    for each in (one, two, three):
        each.prints(r"processes: 3, shards of this one: (?:1[6-9]|2[0-4]) of 64")
    assert three.stop() == 0
    one.prints(r"checks were handed over; processes: 3, shards of this one: (?:2[89]|3[0-6]) of 64")
    two.kill()
    one.prints(r"a process is gone, its checks were taken over; processes: 1, shards of this one: 64 of 64")
    eventually(lambda: len(slots(database)) >= 60 * 8, "all monitors have rows", 120)
    assert one.stop() == 0

    found = slots(database)
    assert len(set(found)) == len(found)
    for name in {name for name, _ in found}:
        own = sorted(slot for each, slot in found if each == name)
        assert [round(after - before) for before, after in pairwise(own)] == [7] * (len(own) - 1)


def slots(database: str) -> list[tuple[str, float]]:
    return [
        (row["monitor"], row["scheduled_at"])
        for row in rows(database, "SELECT monitor, scheduled_at FROM health_data")
    ]
