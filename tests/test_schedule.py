import asyncio
import gc
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config.model import Monitor
from monitor.result import CheckResult, Message, OwnTroubleError, decode, result_id
from monitor.schedule import Schedule, Slots, offset_s
from tests.clock import NeverWaiting

INTERVALS = st.floats(0.05, 86_400)
NOW = 1_790_000_000.0


def monitor(name: str, interval_s: float = 60, host: str | None = None, **settings: Any) -> Monitor:
    return Monitor(name=name, url=f"http://{host or name}.test/", interval_s=interval_s, **settings)


LOOPS = {"never waiting": NeverWaiting}


@pytest.fixture(autouse=True)
async def _schedules_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the schedule's clocks show the time of the event loop."""
    loop = asyncio.get_running_loop()
    clocks = SimpleNamespace(time=lambda: NOW + loop.time(), monotonic=loop.time)
    monkeypatch.setattr("monitor.schedule.time", clocks)


class Site:
    """Stands where the probe stands; answers while `answers` is set, with each sign of `signs`, then `+`."""

    def __init__(
        self, of: Monitor, trouble: Exception | None = None, body: str = "", signs: str = ""
    ) -> None:
        self.signs = iter(signs)
        self.monitor = of
        self.body = body
        self.trouble = trouble
        self.answers = asyncio.Event()
        self.answers.set()
        self.started: list[float] = []
        self.started_at: list[float] = []
        self.closed = False

    async def check(self, scheduled_at: float) -> CheckResult:
        self.started.append(scheduled_at)
        self.started_at.append(asyncio.get_running_loop().time())
        if self.trouble:
            raise self.trouble
        await self.answers.wait()
        return CheckResult(
            timestamp=scheduled_at,
            response_data=self.body,
            response_status=200,
            response_time=0.0,
            id=result_id("here", self.monitor.name, scheduled_at),
            monitor=self.monitor.name,
            url=self.monitor.url,
            location="here",
            scheduled_at=scheduled_at,
            up={"+": True, "-": False, "?": None}[next(self.signs, "+")],
        )

    async def close(self) -> None:
        self.closed = True


def lateness_s(site: Site) -> list[float]:
    """Return by how much each check started after its slot."""
    return [round(NOW + at - slot, 5) for slot, at in zip(site.started, site.started_at, strict=True)]


def make_schedule(queue: asyncio.Queue[Message | None], **limits: int) -> Schedule:
    return Schedule(
        queue,
        max_concurrent_checks=limits.get("concurrent", 500),
        max_checks_per_host=limits.get("per_host", 6),
    )


async def take(queue: asyncio.Queue[Message | None], count: int) -> list[CheckResult]:
    async with asyncio.timeout(86_400):
        messages = [await queue.get() for _ in range(count)]
    return [decode(message.value) for message in messages if message]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - polled with a limit
            await asyncio.sleep(0.005)


@given(name=st.text(), interval_s=INTERVALS)
def test_an_offset_lies_within_the_interval_and_stays(name: str, interval_s: float) -> None:
    assert 0 <= offset_s(name, interval_s) <= interval_s
    assert offset_s(name, interval_s) == offset_s(name, interval_s)


def test_offsets_spread_monitors_over_the_interval() -> None:
    tenths = Counter(int(offset_s(f"https://site-{n}.example/", 60) // 6) for n in range(2_000))

    assert len(tenths) == 10
    assert max(tenths.values()) < 260


@given(interval_s=INTERVALS, pauses=st.lists(st.floats(0, 5), min_size=1, max_size=30))
def test_slots_lie_on_the_grid_ahead_and_are_used_once(interval_s: float, pauses: list[float]) -> None:
    offset = offset_s("a", interval_s)
    slots = Slots(offset, interval_s)
    now, used = NOW, []

    for pause in pauses:
        slot = slots.next(now)
        used.append(slot)
        assert slot > now - 1e-6
        assert abs((slot - offset) / interval_s - round((slot - offset) / interval_s)) * interval_s < 1e-5
        now = slot + pause * interval_s

    assert used == sorted(set(used))


def test_waking_a_little_early_does_not_use_a_slot_twice() -> None:
    slots = Slots(0, 60)
    first = slots.next(NOW)

    assert slots.next(first - 0.001) == first + 60


def test_a_clock_that_is_set_back_gives_slots_of_their_own() -> None:
    slots = Slots(0, 60)
    before = [slots.next(NOW + 60 * n) for n in range(3)]

    repeated = [slots.next(NOW + 60 * n) for n in range(3)]
    again = slots.next(NOW)
    later = slots.next(NOW + 600)

    assert [round(b - a, 6) for a, b in zip(before, repeated, strict=True)] == [0.001, 0.001, 0.001]
    assert round(again - before[0], 6) == 0.002
    assert later % 60 == 0


@given(pauses=st.lists(st.tuples(st.floats(-200, 200), st.sampled_from([None, 7, 20])), max_size=40))
def test_slots_of_two_grids_are_used_once_however_the_clock_is_set(
    pauses: list[tuple[float, float | None]],
) -> None:
    slots, now, used = Slots(0.5, 60), NOW, []

    for pause_s, retry_interval_s in pauses:
        used.append(slots.next(now, retry_interval_s))
        now += pause_s

    assert len(set(used)) == len(used)


def test_retries_lie_on_a_grid_of_their_own_with_the_same_offset() -> None:
    slots = Slots(2, 60)
    minute = NOW - NOW % 60

    found = [slots.next(minute + at, step_s) for at, step_s in ((1, None), (3, 5), (7.1, 5), (12.5, None))]

    assert [slot - minute for slot in found] == [2, 7, 12, 62]
    assert slots.next(minute + 61.999, 5) == minute + 67  # woke early


@given(name=st.text(), interval_s=INTERVALS)
def test_no_slot_passes_during_a_short_check(name: str, interval_s: float) -> None:
    slots = Slots(offset_s(name, interval_s), interval_s)

    assert slots.passed(slots.next(NOW), 0.001) == 0


def test_slots_that_pass_during_a_check_are_counted() -> None:
    slots = Slots(0, 60)

    assert slots.passed(NOW - NOW % 60, 59.9) == 0
    assert slots.passed(NOW - NOW % 60, 60) == 1
    assert slots.passed(NOW - NOW % 60, 185) == 3


async def test_the_first_check_is_at_once_and_the_next_at_each_slot() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=3_600))

    async with make_schedule(queue) as schedule:
        schedule.add([(site.monitor, site)])
        await take(queue, 4)

    slot = Slots(offset_s("a", 3_600), 3_600).next(NOW)
    assert site.started == pytest.approx([NOW, slot, slot + 3_600, slot + 7_200], rel=0, abs=1e-5)
    assert all(0 <= late < 0.002 for late in lateness_s(site))
    assert site.closed
    assert (schedule.checks, schedule.skipped) == (4, 0)


@pytest.mark.parametrize(
    ("set_back_s", "late_s"), [(3.0, 3.0), (10.0, 10.0), (-3.0, 0.0), (0.05, 0.0), (11.0, 0.0)]
)
async def test_a_check_waits_for_a_clock_that_was_set_back_a_little(
    monkeypatch: pytest.MonkeyPatch, set_back_s: float, late_s: float
) -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=3_600))
    loop = asyncio.get_running_loop()

    async with make_schedule(queue) as schedule:
        schedule.add([(site.monitor, site)])
        await take(queue, 1)
        clocks = SimpleNamespace(time=lambda: NOW + loop.time() - set_back_s, monotonic=loop.time)
        monkeypatch.setattr("monitor.schedule.time", clocks)
        await take(queue, 1)

    assert lateness_s(site)[1] == pytest.approx(late_s, abs=0.002)


@pytest.mark.parametrize(
    ("signs", "settings", "waited"),
    [
        ("++++", {}, "mmm"),
        ("+---++", {}, "mrrmr"),
        ("+---+-+", {}, "mrrmrm"),
        ("---+", {"failures_to_open": 1}, "mmm"),
        ("--+-++++", {}, "rrmrmmm"),
        ("-?-?", {}, "rmr"),
        ("+--+-++", {"window": {"of": 4, "bad": 3}}, "mrrmmr"),
    ],
)
async def test_checks_come_sooner_while_the_newest_result_disagrees(
    signs: str, settings: dict[str, Any], waited: str
) -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", 3_600, retry_interval_s=60, **settings), signs=signs)

    async with make_schedule(queue) as schedule:
        schedule.add([(site.monitor, site)])
        results = await take(queue, len(waited) + 1)

    offset = offset_s("a", 3_600)
    slots = site.started[: len(waited) + 1]
    expected = [slots[0]]
    for wait in waited:
        step_s = {"m": 3_600, "r": 60}[wait]
        expected.append(offset + ((slots[len(expected) - 1] - offset + 1e-4) // step_s + 1) * step_s)
    assert slots == pytest.approx(expected, rel=0, abs=1e-4)
    assert [each.id for each in results] == [result_id("here", "a", at) for at in slots]


async def test_first_checks_come_on_a_ramp() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    sites = [Site(monitor(f"m{n}", interval_s=3_600)) for n in range(26)]

    async with make_schedule(queue) as schedule:
        schedule.add((site.monitor, site) for site in sites)
        results = await take(queue, 26)

    assert [result.monitor for result in results] == [site.monitor.name for site in sites]
    assert [site.started_at[0] for site in sites] == pytest.approx([n / 50 for n in range(26)], abs=0.002)
    assert all(site.closed for site in sites)


async def test_checks_that_are_due_within_a_few_milliseconds_start_together() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    sites = [Site(monitor(f"m{n}", interval_s=0.5)) for n in range(200)]

    async with make_schedule(queue) as schedule:
        schedule.add((site.monitor, site) for site in sites)
        await take(queue, 3_000)

    starts = {at for site in sites for at in site.started_at if at >= 4}
    assert len(starts) < 200 * (max(starts) - 4)
    assert all(0 <= late < 0.007 for site in sites for late in lateness_s(site)[1:])


async def test_a_slot_that_comes_during_a_check_is_skipped_and_counted() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("slow", interval_s=60))
    site.answers.clear()

    async with make_schedule(queue) as schedule:
        schedule.add([(site.monitor, site)])
        asyncio.get_running_loop().call_later(210, site.answers.set)
        await take(queue, 2)

    first_slot = Slots(offset_s("slow", 60), 60).next(NOW)
    slots = [first_slot + 60 * n for n in range(5)]
    assert schedule.skipped == sum(slot <= NOW + 210 for slot in slots)
    assert site.started[1] == min(slot for slot in slots if slot > NOW + 210)


async def test_a_hanging_site_delays_no_other() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    hanging = [Site(monitor(f"h{n}", interval_s=0.1, host="hangs")) for n in range(20)]
    for site in hanging:
        site.answers.clear()
    lively = Site(monitor("lively", interval_s=0.1))

    async with make_schedule(queue, concurrent=8, per_host=6) as schedule:
        schedule.add((site.monitor, site) for site in hanging)
        schedule.add([(lively.monitor, lively)])
        results = await take(queue, 8)
        assert sum(len(site.started) for site in hanging) == 6
        for site in hanging:
            site.answers.set()

    assert {result.monitor for result in results} == {"lively"}


async def test_no_more_checks_run_at_once_than_allowed() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    sites = [Site(monitor(f"m{n}", interval_s=60)) for n in range(5)]
    for site in sites:
        site.answers.clear()

    async with make_schedule(queue, concurrent=2) as schedule:
        schedule.add((site.monitor, site) for site in sites)
        await until(lambda: all(entry.turn for entry in schedule._entries.values()))
        for _ in range(10):
            await asyncio.sleep(0)
        assert sum(len(site.started) for site in sites) == 2
        for site in sites:
            site.answers.set()
        await take(queue, 5)


async def test_leaving_waits_for_the_running_check_and_starts_no_other() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    running, waiting = Site(monitor("running", 0.05)), Site(monitor("waiting", 3_600))
    running.answers.clear()

    async with make_schedule(queue) as schedule:
        schedule.add([(running.monitor, running), (waiting.monitor, waiting)])
        await until(lambda: len(running.started) == 1 and len(waiting.started) == 1)
        asyncio.get_running_loop().call_later(0.2, running.answers.set)

    assert len(await take(queue, 2)) == 2
    assert queue.empty()
    assert running.closed
    assert waiting.closed


async def test_leaving_does_not_wait_for_the_next_slot_of_a_check_that_runs() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=3_600))
    site.answers.clear()

    async with asyncio.timeout(10), make_schedule(queue) as schedule:
        schedule.add([(site.monitor, site)])
        await until(lambda: bool(site.started))
        asyncio.get_running_loop().call_later(0.05, site.answers.set)

    assert site.closed


async def test_a_removed_monitor_stops_and_the_others_go_on() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    gone, kept = Site(monitor("gone", 0.05)), Site(monitor("kept", 0.05))

    async with make_schedule(queue) as schedule:
        schedule.add([(gone.monitor, gone), (kept.monitor, kept)])
        await until(lambda: len(gone.started) > 1)
        schedule.remove("gone")
        await until(lambda: gone.closed)
        checks, kept_checks = len(gone.started), len(kept.started)
        await until(lambda: len(kept.started) > kept_checks + 3)

    assert len(gone.started) == checks


async def test_own_trouble_is_counted_and_recorded_against_nobody(caplog: pytest.LogCaptureFixture) -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", 0.05), OwnTroubleError("no free file handle"))

    async with make_schedule(queue) as schedule:
        schedule.add([(site.monitor, site)])
        await until(lambda: schedule.own_troubles > 1)

    assert queue.empty()
    assert "no check of a: no free file handle" in caplog.text


async def test_a_bug_in_a_checker_ends_the_schedule() -> None:
    site = Site(monitor("a", 0.05), ZeroDivisionError("bug"))

    async def run() -> None:
        async with make_schedule(asyncio.Queue()) as schedule:
            schedule.add([(site.monitor, site)])
            await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as caught:
        await run()

    assert caught.group_contains(ZeroDivisionError)


async def test_each_result_is_logged_as_it_is_produced(caplog: pytest.LogCaptureFixture) -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", 3_600))
    caplog.set_level("INFO")

    async with make_schedule(queue) as schedule:
        schedule.add([(site.monitor, site)])
        message = await queue.get()

    assert message
    assert f"Message produced from URL health monitor: {message.value.decode()}" in caplog.messages


async def test_of_a_long_result_the_beginning_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", 3_600), body="ü" * 5_000)
    caplog.set_level("INFO")

    async with make_schedule(queue) as schedule:
        schedule.add([(site.monitor, site)])
        message = await queue.get()

    assert message
    beginning = message.value.decode()[:1_000]
    assert f"Message produced from URL health monitor: {beginning}…" in caplog.messages


async def test_once_checks_each_monitor_once_and_leaving_waits_for_that() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    results: list[CheckResult] = []
    sites = [Site(monitor(f"m{n}", interval_s=0.05)) for n in range(3)]

    async with Schedule(
        queue, max_concurrent_checks=2, max_checks_per_host=2, once=True, on_result=[results.append]
    ) as schedule:
        schedule.add((site.monitor, site) for site in sites)

    assert sorted(result.monitor for result in results) == ["m0", "m1", "m2"]
    assert await take(queue, 3) == results


async def test_a_host_is_forgotten_with_its_last_monitor() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    first, second = (Site(monitor(name, 3_600, host="shop")) for name in ("first", "second"))

    async with make_schedule(queue) as schedule:
        schedule.add([(first.monitor, first), (second.monitor, second)])
        await take(queue, 2)
        schedule.remove("first")
        await until(lambda: first.closed)
        assert list(schedule._hosts) == ["shop.test"]

        schedule.remove("second")

        await until(lambda: gc.collect() >= 0 and not schedule._hosts)


async def test_an_interruption_at_its_end_ends_its_checks_too() -> None:
    site = Site(monitor("a"))
    site.answers.clear()

    async def check_once() -> None:
        async with Schedule(
            asyncio.Queue(), max_concurrent_checks=2, max_checks_per_host=2, once=True
        ) as schedule:
            schedule.add([(site.monitor, site)])

    running = asyncio.create_task(check_once())
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_check_that_is_asked_for_is_for_the_asker_alone() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("a", interval_s=3_600))

    async with make_schedule(queue) as schedule:
        schedule.add([(site.monitor, site)])
        await queue.get()
        result = await schedule.check_now("a", 5)

    assert result.scheduled_at == pytest.approx(NOW + site.started_at[1], rel=0, abs=1e-5)
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


async def test_what_is_no_monitor_is_checked_for_the_asker_alone_and_its_checker_closed() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    site = Site(monitor("other"))

    async with make_schedule(queue) as schedule:
        result = await schedule.check_other(site.monitor, site, 5)
        await until(lambda: site.closed)
        with pytest.raises(KeyError):
            await schedule.check_now("other", 5)

    assert (result.monitor, len(site.started)) == ("other", 1)
    assert queue.empty()


async def test_the_checker_of_what_is_no_monitor_is_closed_when_it_could_not_check() -> None:
    site = Site(monitor("other"), OwnTroubleError("no free file handle"))

    async with make_schedule(asyncio.Queue()) as schedule:
        with pytest.raises(OwnTroubleError):
            await schedule.check_other(site.monitor, site, 5)
        await until(lambda: site.closed)


async def test_what_is_no_monitor_shares_the_places_of_its_host() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    known, other = Site(monitor("known", 3_600, host="same")), Site(monitor("other", host="same"))
    known.answers.clear()

    async with make_schedule(queue, per_host=1) as schedule:
        schedule.add([(known.monitor, known)])
        await until(lambda: bool(known.started))
        with pytest.raises(TimeoutError):
            await schedule.check_other(other.monitor, other, 0.1)
        assert not other.started
        known.answers.set()
        await schedule.check_other(other.monitor, other, 5)

    assert len(other.started) == 1


async def test_a_check_that_has_not_begun_when_its_asker_leaves_is_not_made() -> None:
    known, other = Site(monitor("known", 3_600, host="same")), Site(monitor("other", host="same"))
    known.answers.clear()

    async with make_schedule(asyncio.Queue(), per_host=1) as schedule:
        schedule.add([(known.monitor, known)])
        await until(lambda: bool(known.started))
        with pytest.raises(TimeoutError):
            await schedule.check_other(other.monitor, other, 0.1)
        await until(lambda: other.closed)
        known.answers.set()

    assert not other.started


async def test_a_check_that_has_begun_when_its_asker_leaves_is_finished() -> None:
    other = Site(monitor("other"))
    other.answers.clear()

    async with make_schedule(asyncio.Queue()) as schedule:
        with pytest.raises(TimeoutError):
            await schedule.check_other(other.monitor, other, 0.1)
        await asyncio.sleep(1)
        assert not other.closed
        other.answers.set()
        await until(lambda: other.closed)

    assert len(other.started) == 1


async def test_half_of_the_places_are_never_for_what_is_no_monitor() -> None:
    queue: asyncio.Queue[Message | None] = asyncio.Queue()
    others = [Site(monitor(f"other{number}")) for number in range(4)]
    known = Site(monitor("known", 3_600))
    for other in others:
        other.answers.clear()

    async with make_schedule(queue, concurrent=4) as schedule:
        asked = [asyncio.create_task(schedule.check_other(each.monitor, each, 60)) for each in others]
        await until(lambda: sum(bool(each.started) for each in others) == 2)
        schedule.add([(known.monitor, known)])
        await queue.get()
        assert sum(bool(each.started) for each in others) == 2
        for other in others:
            other.answers.set()
        await asyncio.gather(*asked)


async def test_nothing_else_is_checked_when_the_program_ends() -> None:
    site = Site(monitor("other"))

    async with make_schedule(asyncio.Queue()) as schedule:
        pass
    with pytest.raises(OwnTroubleError):
        await schedule.check_other(site.monitor, site, 5)

    assert not site.started


async def test_a_monitor_that_is_not_there_is_not_checked() -> None:
    async with make_schedule(asyncio.Queue()) as schedule:
        with pytest.raises(KeyError):
            await schedule.check_now("a", 5)


async def test_own_trouble_is_raised_to_the_asker() -> None:
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
        asyncio.get_running_loop().call_later(5, slow.answers.set)
        await queue.get()
        await queue.get()

    assert sum(schedule.lateness_s.counts) == 2
    assert schedule.lateness_s.total == pytest.approx(5 - 1 / 50)
