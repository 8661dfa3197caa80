"""The page of the pipeline."""

from monitor.storage.results import ResultStore
from tests.program import Start, until
from tests.test_main import stored
from tests.web.test_site import get, ready, sites
from tests.web.visitor import configured, shared_with, site_of


def test_the_pipeline_shows_what_went_through_it(program: Start, database: str) -> None:
    monitor = program(pg_uri=database, monitors=sites("shop"))
    monitor.start()
    stored(database, 2)
    ready(monitor)

    until(
        lambda: "<dt>When PostgreSQL last took results</dt><dd>-" not in get(monitor, "/pipeline")[1],
        "counted",
    )
    status, page = get(monitor, "/pipeline")

    assert status == 200
    for fact in (
        "Slots without a check because the last one still ran",
        "Results in the outbox",
        "Messages set aside because they cannot be stored",
        "From the end of a check to its row, on average",
    ):
        assert f"<dt>{fact}</dt>" in page
    assert "<dt>Checks made</dt><dd>0</dd>" not in page
    assert monitor.stop() == 0


async def test_the_pipeline_shows_what_is_missing(store: ResultStore) -> None:
    async with site_of(
        configured("shop"), store, missing=lambda: ["Kafka has been unavailable for 3 s"]
    ) as visitor:
        page = await visitor.get("/pipeline")

    assert "Not ready" in page.text
    assert "<li>Kafka has been unavailable for 3 s</li>" in page.text
    assert page.headers["Cache-Control"] == "no-store"


async def test_the_pipeline_shows_the_facts_of_the_running_program(store: ResultStore) -> None:
    async with site_of(configured("shop"), store) as visitor:
        assert "<dt>Checks made</dt><dd>7</dd>" in (await visitor.get("/pipeline")).text


async def test_the_pipeline_lists_the_processes_that_share_the_checks(store: ResultStore) -> None:
    async with site_of(configured("shop"), store, sharing=shared_with("there-1")) as visitor:
        page = (await visitor.get("/pipeline")).text

    assert "<td>here-1 (this one)</td><td>32</td>" in page
    assert "<td>there-1</td><td>32</td>" in page


async def test_the_pipeline_lists_no_processes_where_checks_are_not_shared(store: ResultStore) -> None:
    async with site_of(configured("shop"), store) as visitor:
        assert "Processes</h2>" not in (await visitor.get("/pipeline")).text
