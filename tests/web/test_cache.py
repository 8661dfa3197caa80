import asyncio
import gzip

import pytest

from monitor.web.cache import PageCache


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Maker:
    """Makes pages that take this many seconds of the clock."""

    def __init__(self, clock: Clock, takes_s: float = 0.0) -> None:
        self.made = 0
        self._clock = clock
        self._takes_s = takes_s

    async def __call__(self) -> str:
        await asyncio.sleep(0)
        self._clock.now += self._takes_s
        self.made += 1
        return f"page {self.made} \udcff"


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_many_readers_at_once_cost_one_page(clock: Clock) -> None:
    pages, make = PageCache(clock), Maker(clock)

    got = await asyncio.gather(*(pages.get("/", make) for _ in range(20)))

    assert make.made == 1
    assert {page.plain for page in got} == {b"page 1 ?"}
    assert gzip.decompress(got[0].compressed) == b"page 1 ?"


@pytest.mark.parametrize(("takes_s", "kept_s"), [(0.0, 0.5), (0.1, 5.0), (5.0, 10.0)])
async def test_a_page_is_kept_for_longer_when_it_takes_longer(
    clock: Clock, takes_s: float, kept_s: float
) -> None:
    pages, make = PageCache(clock), Maker(clock, takes_s)
    await pages.get("/", make)

    clock.now += kept_s - 0.01
    await pages.get("/", make)
    assert make.made == 1

    clock.now += 0.02
    await pages.get("/", make)
    assert make.made == 2


async def test_making_many_pages_takes_no_larger_share_of_the_time_than_making_one(clock: Clock) -> None:
    pages, make = PageCache(clock), Maker(clock, 0.02)

    while clock.now < 100:
        for number in range(4):
            await pages.get(number, make)
        clock.now += 0.1

    assert 95 <= make.made <= 105


async def test_pages_that_were_made_long_ago_delay_no_new_ones(clock: Clock) -> None:
    pages, make = PageCache(clock), Maker(clock, 0.1)
    for number in range(50):
        await pages.get(number, make)

    clock.now += 10
    await pages.get("/", make)
    clock.now += 5.01
    await pages.get("/", make)

    assert make.made == 52


async def test_a_change_settles_what_pages_cost_before_it(clock: Clock) -> None:
    pages, make = PageCache(clock), Maker(clock, 0.1)
    for number in range(50):
        await pages.get(number, make)

    pages.forget()
    await pages.get("/", make)
    clock.now += 5.01
    await pages.get("/", make)

    assert make.made == 52


async def test_each_address_has_its_page_and_the_oldest_is_forgotten(clock: Clock) -> None:
    pages, make = PageCache(clock), Maker(clock)

    for number in range(201):
        await pages.get(number, make)
    await pages.get(200, make)
    assert make.made == 201

    await pages.get(0, make)
    assert make.made == 202


async def test_a_page_that_fails_is_made_again_and_one_reader_who_leaves_disturbs_no_other(
    clock: Clock,
) -> None:
    pages, make = PageCache(clock), Maker(clock)

    async def fail() -> str:
        raise LookupError

    with pytest.raises(LookupError):
        await pages.get("/", fail)
    leaving = asyncio.create_task(pages.get("/", make))
    staying = asyncio.create_task(pages.get("/", make))
    await asyncio.sleep(0)
    leaving.cancel()

    assert (await staying).plain == b"page 1 ?"


async def test_what_has_changed_is_made_again_also_when_it_is_being_made(clock: Clock) -> None:
    pages, make = PageCache(clock), Maker(clock)
    early = asyncio.create_task(pages.get("/", make))
    await asyncio.sleep(0)

    pages.forget()
    late = await pages.get("/", make)

    assert {(await early).plain, late.plain} == {b"page 1 ?", b"page 2 ?"}
    assert await pages.get("/", make) == late


async def test_only_two_pages_are_made_at_once(clock: Clock) -> None:
    pages, going, most = PageCache(clock), 0, 0

    async def make() -> str:
        nonlocal going, most
        going += 1
        most = max(most, going)
        await asyncio.sleep(0)
        going -= 1
        return ""

    await asyncio.gather(*(pages.get(number, make) for number in range(9)))

    assert most == 2
