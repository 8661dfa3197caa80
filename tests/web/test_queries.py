"""What the pages ask the database for: it is right, found by index, and in no more days than they show."""

import pytest

from benchmarks.history import Explained, ask_all, fill, mistakes, read_by
from monitor.storage.results import ResultStore
from monitor.web.queries import PageReader
from tests.web.visitor import outage

MONITORS = [f"m{number}" for number in range(40)]


async def test_no_query_of_a_page_reads_more_than_it_needs(store: ResultStore) -> None:
    await fill(store.database, rows=90_000, monitors=400)
    reader = Explained(store.database)

    await ask_all(reader, MONITORS)

    assert len(reader.plans) == 14
    read = {
        asked: [each for plan in plans for each in read_by(plan)] for asked, plans in reader.plans.items()
    }
    assert {asked: found for asked in read if (found := mistakes(read[asked]))} == {}
    days = {table for table, _ in read["results"] if table.startswith("health_data_2")}
    assert 0 < len(days) <= 2


async def test_changes_are_read_from_the_next_one_on(store: ResultStore) -> None:
    await store.save([*outage("shop"), *outage("blog")])
    reader = PageReader(store.database)

    (first, _), (last, _) = await reader.changes_after(0)

    assert [number for number, _ in await reader.changes_after(first)] == [last]
    assert [number for number, _ in await reader.changes_after(0, 1)] == [first]
    assert await reader.changes_after(last) == []
    assert await reader.last_change() == last


@pytest.mark.parametrize(
    ("read", "found"),
    [
        ([("health_incidents", "Seq Scan")], ["Seq Scan of health_incidents"]),
        ([("health_states", "Seq Scan"), ("health_data_original", "Seq Scan")], []),
        ([(f"health_data_2026110{day}", "Index Scan") for day in range(4)], ["4 days of results"]),
    ],
)
def test_what_is_too_much_is_found(read: list[tuple[str, str]], found: list[str]) -> None:
    assert mistakes(read) == found
