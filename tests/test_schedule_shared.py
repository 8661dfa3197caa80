"""The schedule of a process that shares its checks with others."""

import asyncio
from collections.abc import Collection, Sequence
from types import SimpleNamespace
from uuid import UUID

import pytest

from monitor.result import Message, decode, result_id
from monitor.schedule import Schedule, Slots, offset_s
from monitor.sharing import Sharing
from tests.clock import NeverWaiting
from tests.sharing import fake_sharing
from tests.test_schedule import NOW, Site, monitor, take

LOOPS = {"never waiting": NeverWaiting}


@pytest.fixture(autouse=True)
async def _time_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    clocks = SimpleNamespace(time=lambda: NOW + loop.time(), monotonic=loop.time)
    monkeypatch.setattr("monitor.schedule.time", clocks)
    monkeypatch.setattr("monitor.sharing.time", clocks)


def own(shared: Sharing, *, everything: bool) -> None:
    """Let it be assigned all shards, or none."""
    shared.own({0} if everything else (), 1)


def make_schedule(queue: asyncio.Queue[Message | None], shared: Sharing) -> Schedule:
    return Schedule(queue, max_concurrent_checks=500, max_checks_per_host=6, shared=shared)


def grid(name: str, interval_s: float, first_s: float, last_s: float) -> list[float]:
    """Return the slots between two instants, in seconds after NOW."""
    return Slots(offset_s(name, interval_s), interval_s).between(NOW + first_s, NOW + last_s)


async def sleep_until(seconds: float) -> None:
    await asyncio.sleep(seconds - asyncio.get_running_loop().time())


async def test_checks_are_made_while_the_shard_is_own_and_what_others_may_have_missed() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    shared, site = fake_sharing(), Site(monitor("a", interval_s=10))

    async with make_schedule(queue, shared) as schedule:
        schedule.add([(site.monitor, site)])
        await sleep_until(60)
        assert site.started == []
        own(shared, everything=True)
        await sleep_until(95)
        own(shared, everything=False)
        await sleep_until(200)
        own(shared, everything=True)
        await sleep_until(215)

    assert site.started == grid("a", 10, 30, 95) + grid("a", 10, 170, 215)
    assert shared.taken_over == len(grid("a", 10, 30, 60) + grid("a", 10, 170, 200))
    assert (schedule.checks, schedule.skipped) == (len(site.started), 0)
    assert site.closed


async def test_of_what_others_may_have_missed_that_which_has_a_row_is_not_checked_again() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    missed = grid("a", 10, 30, 60)

    async def look(results: Sequence[tuple[str, float, UUID]]) -> Collection[UUID]:
        return {id_ for _, slot, id_ in results if slot != missed[1]}

    shared, site = fake_sharing(look=look), Site(monitor("a", interval_s=10))
    async with make_schedule(queue, shared) as schedule:
        schedule.add([(site.monitor, site)])
        await sleep_until(60)
        own(shared, everything=True)
        await sleep_until(61)
        (late,) = await take(queue, 1)

    assert site.started == [missed[1]]
    assert late.id == result_id(late.location, "a", missed[1])
    assert (late.process, late.number) == ("", 0)  # others come first by their numbers


async def test_a_shard_that_comes_back_has_each_slot_checked_once() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    shared, site = fake_sharing(), Site(monitor("a", interval_s=5))

    async with make_schedule(queue, shared) as schedule:
        schedule.add([(site.monitor, site)])
        own(shared, everything=True)
        for seconds in range(10, 100, 3):
            await sleep_until(seconds)
            own(shared, everything=seconds % 2 == 0)
        own(shared, everything=True)
        await sleep_until(120)

    assert sorted(site.started) == grid("a", 5, -30, 120)


async def test_what_was_gained_is_checked_one_slot_after_another() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=5))
    site.answers.clear()
    shared = fake_sharing()

    async with make_schedule(queue, shared) as schedule:
        schedule.add([(site.monitor, site)])
        own(shared, everything=True)
        await sleep_until(1)
        assert len(site.started) == 1
        site.answers.set()
        await sleep_until(2)
        assert site.started == grid("a", 5, -30, 2)


async def test_a_process_that_stood_still_makes_up_for_its_slots_of_30_s() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    shared, site = fake_sharing(), Site(monitor("a", interval_s=5))
    loop = asyncio.get_running_loop()
    assert isinstance(loop, NeverWaiting)

    async with make_schedule(queue, shared) as schedule:
        schedule.add([(site.monitor, site)])
        own(shared, everything=True)
        await sleep_until(20)
        site.started.clear()
        loop.now += 50
        await asyncio.sleep(0.1)
        await sleep_until(71)

    first = grid("a", 5, 20, 25)
    assert site.started == first + grid("a", 5, 40, 71)


async def test_a_monitor_that_was_removed_is_not_looked_for() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    asked = asyncio.Event()

    async def look(_: object) -> Collection[UUID]:
        asked.set()
        await asyncio.sleep(1)
        return ()

    shared, site = fake_sharing(look=look), Site(monitor("a", interval_s=60))
    async with make_schedule(queue, shared) as schedule:
        schedule.add([(site.monitor, site)])
        await sleep_until(60)
        own(shared, everything=True)
        await asked.wait()
        schedule.remove("a")
        await sleep_until(63)

    assert site.started == []


async def test_retries_are_forgotten_with_the_shard() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    watched = monitor("a", interval_s=3_600, retry_interval_s=5, failures_to_open=50)
    site = Site(watched, signs="-" * 99)
    shared = fake_sharing()
    (slot,) = (each - NOW for each in grid("a", 3_600, 0, 3_600))

    async with make_schedule(queue, shared) as schedule:
        schedule.add([(watched, site)])
        own(shared, everything=True)
        await sleep_until(slot + 21)
        assert len(site.started) == 5
        own(shared, everything=False)
        await sleep_until(slot + 60)
        own(shared, everything=True)
        await sleep_until(slot + 3_500)

    assert len(site.started) == 5


async def test_leaving_waits_for_a_late_check_and_starts_no_other() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=5))
    site.answers.clear()
    shared = fake_sharing()

    async with make_schedule(queue, shared) as schedule:
        schedule.add([(site.monitor, site)])
        own(shared, everything=True)
        await sleep_until(1)
        asyncio.get_running_loop().call_later(1, site.answers.set)

    (message,) = [queue.get_nowait() for _ in range(queue.qsize())]
    assert message
    assert [decode(message.value).scheduled_at] == site.started
