"""What the page of the pipeline says of the running program."""

from monitor.runtime.text import duration
from tests.program import Start, until
from tests.test_main import stored
from tests.web.test_site import get, ready, sites


def test_the_pipeline_tells_what_went_through_it(program: Start, database: str) -> None:
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


def test_a_duration_that_is_not_known_is_a_dash() -> None:
    assert duration(None) == "-"
