"""The schedule of a process that shares its checks with others."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from monitor.config.model import Config
from monitor.result import CheckResult, Message
from monitor.schedule import Schedule, offset_s
from monitor.shared_checks import SharedChecks, shared_checks
from monitor.sharing.assignment import Assignment, Entry, decode_announcement, encode
from monitor.sharing.process import MISSED_S
from monitor.sharing.shards import SHARDS
from tests.clock import NeverWaiting
from tests.test_schedule import NOW, Site, monitor, take, until

LOOPS = {"never waiting": NeverWaiting}


@pytest.fixture(autouse=True)
async def _time_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    clocks = SimpleNamespace(time=lambda: NOW + loop.time(), monotonic=loop.time)
    monkeypatch.setattr("monitor.schedule.time", clocks)
    monkeypatch.setattr("monitor.shared_checks.time", clocks)


@pytest.fixture
async def shared(tmp_path: Path, _time_of_the_loop: None) -> AsyncIterator[SharedChecks]:
    """What a process knows whose clock goes on, and who hears of Kafka what the test says."""
    made = shared_checks(Config(monitors=(), kafka_bootstrap="127.0.0.1:1", data_dir=tmp_path))
    assert made
    ticking = asyncio.create_task(made._tick())
    yield made
    ticking.cancel()


def assign(shared: SharedChecks, *owners: tuple[float, str], done: Sequence[str] = ()) -> None:
    """Let this process receive that all shards belong to these, each from so many seconds after NOW on."""
    ours = decode_announcement(shared.group.announce())
    entries = tuple(
        Entry(NOW + at, ours.process if name == "us" else name, ours.configurations[0]) for at, name in owners
    )
    epoch = int((NOW + owners[-1][0]) * 1_000) + len(owners)
    members = tuple({entry.process for entry in entries})
    shared._receive(encode(Assignment(epoch, members, (), tuple(done), (entries,) * SHARDS)))
    shared._look()


def make_schedule(queue: asyncio.Queue[Message | None], shared: SharedChecks) -> Schedule:
    return Schedule(queue, max_concurrent_checks=500, max_checks_per_host=6, shared=shared)


def grid(name: str, interval_s: float, first_s: float, last_s: float) -> list[float]:
    """Return the slots between two instants, in seconds after NOW."""
    offset, slots = offset_s(name, interval_s), []
    index = int((NOW + first_s - offset) // interval_s) + 1
    while (slot := round(offset + index * interval_s, 6)) <= NOW + last_s:
        slots.append(slot)
        index += 1
    return slots


async def sleep_until(seconds: float) -> None:
    await asyncio.sleep(seconds - asyncio.get_running_loop().time())


async def test_shared_checks_are_made_at_own_slots_only(shared: SharedChecks) -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=10))

    async with make_schedule(queue, shared) as schedule:
        schedule.add([(site.monitor, site)])
        assign(shared, (30, "us"), (90, "other"), (130, "us"))
        await sleep_until(175)

    assert site.started == grid("a", 10, 30, 90) + grid("a", 10, 130, 175)
    assert (schedule.checks, schedule.skipped) == (len(site.started), 0)
    assert site.closed


async def test_nothing_is_checked_before_kafka_answers_or_is_out_of_reach_for_20_s(
    shared: SharedChecks, caplog: pytest.LogCaptureFixture
) -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=5))
    known: list[bool] = []
    shared.on_known = lambda: known.append(True)

    async with make_schedule(queue, shared) as schedule:
        schedule.add([(site.monitor, site)])
        await sleep_until(15)
        shared.group.answered()
        await sleep_until(29.5)
        assert known == []
        await sleep_until(34.9)
        assert site.started == []
        assert known == [True]
        await sleep_until(60)

    assert site.started == grid("a", 5, 0, 60)[-len(site.started) :]
    assert site.started[0] == grid("a", 5, 35, 60)[0]
    assert [each for each in caplog.messages if each.startswith("Kafka does not answer")] == [
        "Kafka does not answer: checks are made here as before the start, or all of them"
    ]


async def test_a_process_that_stood_still_makes_no_check_before_it_knows_which(
    shared: SharedChecks, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "monitor.shared_checks")
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=5))

    async with make_schedule(queue, shared) as schedule:
        schedule.add([(site.monitor, site)])
        assign(shared, (0, "us"))
        await sleep_until(20)
        shared.process._awake_s -= 6
        await sleep_until(28)
        before = len(site.started)
        assign(shared, (0, "us"), (0.001, "us"))
        await sleep_until(29)

    assert site.started == grid("a", 5, 0, 28)
    assert before < len(site.started)
    assert caplog.messages[-2:] == [
        "others may have the checks of this process: it makes none until Kafka says more",
        "this process makes checks again",
    ]


async def test_what_another_may_have_missed_is_made_at_once_under_its_own_slots(shared: SharedChecks) -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=5))

    async with make_schedule(queue, shared) as schedule:
        schedule.add([(site.monitor, site)])
        assign(shared, (0, "other"))
        await sleep_until(60.1)
        assign(shared, (0, "other"), (48, "us"))
        late = await take(queue, 2)
        assert asyncio.get_running_loop().time() == pytest.approx(60.1, abs=0.001)
        (following,) = await take(queue, 1)

    assert [each.scheduled_at for each in late] == grid("a", 5, 60.1 - MISSED_S, 60.1)[-2:]
    assert [(each.process, each.number) for each in late] == [("", 0)] * 2
    assert following.scheduled_at == grid("a", 5, 60.1, 70)[0]
    assert shared.process.taken_over == 2


async def test_no_slot_is_made_twice(shared: SharedChecks) -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=5))

    async with make_schedule(queue, shared) as schedule:
        schedule.add([(site.monitor, site)])
        for second in range(1, 60):
            assign(shared, (0, "us"), (second / 1_000, "us"))
            await sleep_until(second)

    assert site.started == grid("a", 5, 0, 59)


async def test_slots_that_a_clock_repeats_are_not_taken_for_missed(
    shared: SharedChecks, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=5))

    async with make_schedule(queue, shared) as schedule:
        schedule.add([(site.monitor, site)])
        assign(shared, (0, "us"))
        await sleep_until(200)
        loop = asyncio.get_running_loop()
        set_back = SimpleNamespace(time=lambda: NOW + loop.time() - 100, monotonic=loop.time)
        monkeypatch.setattr("monitor.schedule.time", set_back)
        monkeypatch.setattr("monitor.shared_checks.time", set_back)
        await sleep_until(220)
        assign(shared, (0, "us"), (120, "us"))
        await sleep_until(222)

    assert len(set(site.started)) == len(site.started)


async def test_a_missed_slot_waits_for_the_check_that_is_under_way(shared: SharedChecks) -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=60))
    site.answers.clear()
    (slot,) = grid("a", 60, 0, 60)

    async with make_schedule(queue, shared) as schedule:
        schedule.add([(site.monitor, site)])
        assign(shared, (0, "other"))
        await asyncio.sleep(slot - NOW - 0.5)
        asking = asyncio.create_task(schedule.check_now("a", 100))
        await sleep_until(slot - NOW + 5)
        assign(shared, (0, "us"), (0.001, "us"))
        await sleep_until(slot - NOW + 10)
        assert len(site.started) == 1
        site.answers.set()
        await asking
        (late,) = await take(queue, 1)

    assert late.scheduled_at == slot


async def test_a_stop_makes_the_missed_checks_first(shared: SharedChecks) -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=5))
    site.answers.clear()

    async with make_schedule(queue, shared) as schedule:
        schedule.add([(site.monitor, site)])
        assign(shared, (0, "other"))
        await sleep_until(60)
        assign(shared, (0, "us"), (0.001, "us"))
        await until(lambda: len(site.started) == 1)
        asyncio.get_running_loop().call_later(1, site.answers.set)

    assert site.started == grid("a", 5, 60 - MISSED_S, 60)[-2:]
    assert site.closed
    assign(shared, (0, "other"), (0.002, "us"))


async def test_a_monitor_that_is_removed_is_not_made_up_for(shared: SharedChecks) -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=5))
    site.answers.clear()

    async with make_schedule(queue, shared) as schedule:
        schedule.add([(site.monitor, site)])
        assign(shared, (0, "other"))
        await sleep_until(60)
        assign(shared, (0, "us"), (0.001, "us"))
        await until(lambda: len(site.started) == 1)
        schedule.remove("a")
        site.answers.set()
        await take(queue, 1)

    assert len(site.started) == 1
    assert site.closed


async def test_a_monitor_that_is_removed_misses_nothing(shared: SharedChecks) -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=5))

    async with make_schedule(queue, shared) as schedule:
        schedule.add([(site.monitor, site)])
        assign(shared, (0, "other"))
        await sleep_until(60)
        assign(shared, (0, "us"), (0.001, "us"))
        schedule.remove("a")
        await sleep_until(61)

    assert site.started == []


async def test_another_process_makes_the_retries_of_its_time(shared: SharedChecks) -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=60, retry_interval_s=5), signs="+-")

    async with make_schedule(queue, shared) as schedule:
        schedule.add([(site.monitor, site)])
        first, second = grid("a", 60, 0, 120)
        assign(shared, (0, "us"), (second - NOW + 1, "other"), (second - NOW + 31, "us"))
        await take(queue, 2)
        await sleep_until(second - NOW + 59)

    assert site.started == [first, second]


async def test_each_process_checks_when_it_is_asked(shared: SharedChecks) -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=60))

    async with make_schedule(queue, shared) as schedule:
        schedule.add([(site.monitor, site)])
        assign(shared, (0, "other"))
        result: CheckResult = await schedule.check_now("a", 5, recorded=True)

    assert [each.id for each in await take(queue, 1)] == [result.id]


async def test_many_monitors_are_looked_at_in_turns(shared: SharedChecks) -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    sites = [Site(monitor(f"m{n}", interval_s=10)) for n in range(450)]

    async with make_schedule(queue, shared) as schedule:
        schedule.add((site.monitor, site) for site in sites)
        assign(shared, (0, "other"))
        await sleep_until(60)
        assign(shared, (0, "other"), (50, "us"))
        late = await take(queue, 450)

    assert {each.monitor for each in late} == {site.monitor.name for site in sites}


async def test_a_check_that_waits_for_its_turn_is_made_before_the_end(shared: SharedChecks) -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    names = ("a", "b", "c")
    sites = [Site(monitor(name, host="same", interval_s=5)) for name in names]
    for site in sites:
        site.answers.clear()

    async with Schedule(queue, max_concurrent_checks=500, max_checks_per_host=1, shared=shared) as schedule:
        schedule.add([(site.monitor, site) for site in sites])
        assign(shared, (0, "us"), (5, "other"))
        await sleep_until(5.1)
        assert sum(len(site.started) for site in sites) == 1
        for site in sites:
            site.answers.set()

    assert [site.started for site in sites] == [grid(name, 5, 0, 5) for name in names]


async def test_a_check_that_is_due_when_nothing_is_left_is_made(shared: SharedChecks) -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=10))
    (slot,) = grid("a", 10, 0, 10)

    async with make_schedule(queue, shared) as schedule:
        schedule.add([(site.monitor, site)])
        assign(shared, (0, "us"), (slot + 0.001 - NOW, "other"))
        await sleep_until(slot - 0.005 - NOW)

    assert site.started == [slot]


async def test_one_that_fails_makes_no_check_any_more(shared: SharedChecks) -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=10))
    (slot,) = grid("a", 10, 0, 10)

    async def fail() -> None:
        async with make_schedule(queue, shared) as schedule:
            schedule.add([(site.monitor, site)])
            assign(shared, (0, "us"))
            await sleep_until(slot - 0.005 - NOW)
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup):
        await fail()

    assert site.started == []
