import asyncio
import random

import aiohttp

from tests.chaos.account import Row
from tests.chaos.incidents import Incident, compare
from tests.chaos.outages import Outages
from tests.chaos.site import Outage, Site
from tests.program import until

OPENED = ("opened", "resolved")
ANSWERED = {"shop": [100.1 + n for n in range(10)]}
ROWS = [Row("shop", n, up=True, reason=None, slot=99.0 + n) for n in range(1, 11)]
OUTAGES = {"shop": [Outage(3, 3)]}
RIGHT = Incident("shop", "down", 102.0, 105.0, OPENED)


def wrong(*incidents: Incident, rows: list[Row] = ROWS) -> int:
    return len(compare(OUTAGES, ANSWERED, rows, incidents).wrong)


def test_an_outage_is_one_incident_with_its_times() -> None:
    assert compare(OUTAGES, ANSWERED, ROWS, [RIGHT]) == (1, [])
    assert wrong() == 1
    assert wrong(RIGHT, RIGHT) == 1
    assert wrong(RIGHT._replace(started_at=103.0)) == 1
    assert wrong(RIGHT._replace(ended_at=None)) == 1
    assert wrong(RIGHT, RIGHT._replace(monitor="blog")) == 1


def test_one_check_too_short_is_none() -> None:
    short = {"shop": [Outage(3, 2)]}

    assert compare(short, ANSWERED, ROWS, []) == (0, [])
    assert compare(short, ANSWERED, ROWS, [RIGHT]).wrong


def test_checks_without_a_row_are_not_there() -> None:
    long = {"shop": [Outage(3, 4)]}
    without = [row for row in ROWS if row.number not in {3, 7}]

    assert compare(long, ANSWERED, without, [RIGHT._replace(started_at=103.0, ended_at=107.0)]) == (1, [])
    assert compare(OUTAGES, ANSWERED, without, []) == (0, [])


def test_what_is_told_twice_or_of_another_kind_is_wrong() -> None:
    assert wrong(RIGHT._replace(changes=("opened", "opened", "resolved"))) == 1
    assert wrong(RIGHT._replace(changes=("past",))) == 0
    assert wrong(RIGHT, Incident("shop", "partial", 102.0, 105.0, OPENED)) == 1


def test_there_is_no_data_only_where_the_site_heard_nothing() -> None:
    silence = Incident("shop", "no_data", 109.0, 120.0, OPENED)

    assert wrong(RIGHT, silence) == 1
    later = {"shop": [*ANSWERED["shop"], 119.9]}
    rows = [*ROWS, Row("shop", 11, up=True, reason=None, slot=119.5)]
    assert compare(OUTAGES, later, rows, [RIGHT, silence]) == (1, [])


def test_a_slot_must_be_just_before_the_answer() -> None:
    early = [row if row.number != 4 else Row("shop", 4, up=True, reason=None, slot=50.0) for row in ROWS]

    assert wrong(RIGHT, rows=early) == 1


async def test_the_site_fails_as_often_as_it_should() -> None:
    site = Site()
    url = f"http://127.0.0.1:{await site.start()}/shop"
    async with aiohttp.ClientSession() as session:

        async def ask() -> int:
            async with session.get(url) as response:
                return response.status

        first = await ask()
        site.fail("shop", 2)
        assert [first, *[await ask() for _ in range(4)]] == [200, 500, 500, 200, 200]
        assert (site.outages, site.good_since("shop")) == ({"shop": [(2, 2)]}, 2)
    await site.stop()


async def test_no_outage_begins_while_they_are_held() -> None:
    site = Site()
    site.answered["shop"] = [100.0]
    outages = Outages(site, random.Random(1))  # noqa: S311

    async with outages.running():
        async with outages.held():
            assert not any(site.outages.values())
        await asyncio.to_thread(until, lambda: bool(site.outages["shop"]), "one begun")
        site.answered["shop"] += [101.0] * 30
