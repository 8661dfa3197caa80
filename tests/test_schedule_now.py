"""Checks that somebody asks for, beside the schedule's own."""

import asyncio
import time

import pytest

from monitor.result import Message, OwnTroubleError, decode
from tests.test_schedule import Site, make_schedule, monitor, until


async def test_a_check_that_is_asked_for_is_for_the_asker_alone() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=3_600))

    async with make_schedule(queue) as schedule:
        schedule.add([(site.monitor, site)])
        await queue.get()
        result = await schedule.check_now("a", 5)

    assert result.scheduled_at == pytest.approx(time.time(), abs=5)
    assert len(site.started) == 2
    assert queue.empty()
    assert schedule.checks == 1


async def test_a_check_that_is_asked_for_is_recorded_when_that_is_wanted() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=3_600))

    async with make_schedule(queue) as schedule:
        schedule.add([(site.monitor, site)])
        await queue.get()
        site.answers.clear()
        for_the_asker = asyncio.create_task(schedule.check_now("a", 5))
        await until(lambda: len(site.started) == 2)
        recorded = asyncio.create_task(schedule.check_now("a", 5, recorded=True))
        await asyncio.sleep(0)
        site.answers.set()
        result = await recorded
        message = await queue.get()
        assert await for_the_asker == result
        await schedule.check_now("a", 5)

    assert message is not None
    assert decode(message.value) == result
    assert queue.empty()
    assert schedule.checks == 2


async def test_a_slot_s_check_that_runs_is_joined_and_recorded_once() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=3_600))
    site.answers.clear()

    async with make_schedule(queue) as schedule:
        schedule.add([(site.monitor, site)])
        await until(lambda: bool(site.started))
        asked = [asyncio.create_task(schedule.check_now("a", 5)) for _ in range(3)]
        await asyncio.sleep(0)
        site.answers.set()
        results = await asyncio.gather(*asked)

    assert len(site.started) == 1
    assert {result.scheduled_at for result in results} == set(site.started)
    assert queue.qsize() == 1


async def test_a_slot_waits_for_a_check_that_was_asked_for() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=0.3))
    began: list[int] = []

    def answer() -> None:
        began.append(len(site.started))
        site.answers.set()

    async with make_schedule(queue) as schedule:
        schedule.add([(site.monitor, site)])
        await queue.get()
        site.answers.clear()
        asked = asyncio.create_task(schedule.check_now("a", 5))
        asyncio.get_running_loop().call_later(0.7, answer)
        await asked
        await queue.get()

    assert began == [2]


async def test_no_more_checks_run_at_once_than_allowed_when_asked() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    slow, asked = Site(monitor("slow", 3_600, host="same")), Site(monitor("asked", 3_600, host="same"))

    async with make_schedule(queue, per_host=1) as schedule:
        schedule.add([(asked.monitor, asked)])
        await queue.get()
        slow.answers.clear()
        schedule.add([(slow.monitor, slow)])
        await until(lambda: bool(slow.started))
        with pytest.raises(TimeoutError):
            await schedule.check_now("asked", 0.1)
        assert len(asked.started) == 1
        slow.answers.set()
        assert (await schedule.check_now("asked", 5)).monitor == "asked"

    assert len(asked.started) == 2


async def test_a_check_goes_on_when_its_asker_has_gone() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=3_600))

    async with make_schedule(queue) as schedule:
        schedule.add([(site.monitor, site)])
        await queue.get()
        site.answers.clear()
        impatient = asyncio.create_task(schedule.check_now("a", 5))
        await until(lambda: len(site.started) == 2)
        impatient.cancel()
        patient = asyncio.create_task(schedule.check_now("a", 5))
        await asyncio.sleep(0)
        site.answers.set()
        await patient

    assert len(site.started) == 2


async def test_a_monitor_that_is_not_there_is_not_checked() -> None:
    async with make_schedule(asyncio.Queue()) as schedule:
        with pytest.raises(KeyError):
            await schedule.check_now("a", 5)


async def test_own_trouble_is_told_to_the_asker() -> None:
    site = Site(monitor("a", 3_600), OwnTroubleError("no free file handle"))

    async with make_schedule(asyncio.Queue()) as schedule:
        schedule.add([(site.monitor, site)])
        with pytest.raises(OwnTroubleError):
            await schedule.check_now("a", 5)

    assert schedule.own_troubles >= 1


async def test_a_monitor_is_let_go_of_when_what_was_asked_is_answered() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=3_600))

    async with make_schedule(queue) as schedule:
        schedule.add([(site.monitor, site)])
        await queue.get()
        site.answers.clear()
        asked = asyncio.create_task(schedule.check_now("a", 5))
        await until(lambda: len(site.started) == 2)
        schedule.remove("a")
        await asyncio.sleep(0.01)
        assert not site.closed
        site.answers.set()
        await asked

    assert site.closed


async def test_what_waits_for_its_place_when_the_program_ends_is_not_checked() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    slow, asked = Site(monitor("slow", 3_600, host="same")), Site(monitor("asked", 3_600, host="same"))

    async with make_schedule(queue, per_host=1) as schedule:
        schedule.add([(asked.monitor, asked)])
        await queue.get()
        slow.answers.clear()
        schedule.add([(slow.monitor, slow)])
        await until(lambda: bool(slow.started))
        waiting = asyncio.create_task(schedule.check_now("asked", 5))
        asyncio.get_running_loop().call_later(0.05, slow.answers.set)

    with pytest.raises(OwnTroubleError, match="was not made"):
        await waiting
    with pytest.raises(OwnTroubleError, match="the program ends"):
        await schedule.check_now("asked", 5)
    assert len(asked.started) == 1


async def test_a_bug_in_a_check_that_was_asked_for_ends_the_schedule() -> None:
    site = Site(monitor("a", 3_600))
    queue: asyncio.Queue[Message | None] = asyncio.Queue()

    async def run() -> None:
        async with make_schedule(queue) as schedule:
            schedule.add([(site.monitor, site)])
            await queue.get()
            site.trouble = ZeroDivisionError("bug")
            await schedule.check_now("a", 5)

    with pytest.raises(ExceptionGroup) as caught:
        await run()

    assert caught.group_contains(ZeroDivisionError)


async def test_lateness_is_counted() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    slow, late = Site(monitor("slow", 3_600, host="same")), Site(monitor("late", 3_600, host="same"))
    slow.answers.clear()

    async with make_schedule(queue, per_host=1) as schedule:
        schedule.add([(slow.monitor, slow), (late.monitor, late)])
        asyncio.get_running_loop().call_later(0.3, slow.answers.set)
        await queue.get()
        await queue.get()

    assert sum(schedule.lateness_s.counts) == 2
    assert schedule.lateness_s.total > 0.2
