"""What is stored of a process whose clock is set while the database is unavailable."""

import random

import pytest

from tests.incidents.test_bookkeeping import NOW, assert_sums_are_right, bookkeeping, changes, incidents
from tests.observing import made
from tests.postgres import result_store
from tests.storage.test_results import count


@pytest.mark.parametrize("batch", [1_000, 7])
async def test_results_of_a_wrong_clock_do_not_split_an_outage(database: str, batch: int) -> None:
    store = result_store(database, bookkeeping())
    ahead = made((0, "+++"), (30, "++++"), (7, "+" * 20 + "-" * 7 + "+++"))

    for start in range(0, len(ahead), batch):
        await store.save(ahead[start : start + batch])
    await store.database.close()

    assert await incidents(database) == [("down", 27, 34, True)]
    assert await changes(database) == [("down", "past", 34)]


@pytest.mark.parametrize("seed", range(5))
async def test_sums_are_those_of_a_recount_however_the_clock_is_set(database: str, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same clock each time
    stretches = [
        (chance.randint(0, 600) + chance.random(), "".join(chance.choices("+-~?", k=chance.randint(1, 40))))
        for _ in range(8)
    ]
    results = made(*stretches)
    store = result_store(database, bookkeeping(NOW))

    for start in range(0, len(results), 25):
        await store.save(results[start : start + 25])
    await store.database.close()

    assert await count(database) == len(results)
    await assert_sums_are_right(database)
