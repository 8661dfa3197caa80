"""What all pages have in common."""

import gzip

import aiohttp
import pytest

from monitor.storage.results import ResultStore
from monitor.web.pages.base import whole_number
from tests.postgres import result_store
from tests.web.visitor import HTML, TOKEN, configured, result, site_of

PATHS = (
    "/",
    "/monitors/shop",
    "/incidents",
    "/incidents/1",
    "/status",
    "/status/rss",
    "/badges/shop/status.svg",
)


@pytest.mark.parametrize("path", PATHS)
async def test_a_program_that_is_starting_says_so(path: str) -> None:
    async with site_of(configured("shop")) as visitor:
        page = await visitor.get(path)

    assert (page.status, "The program is starting" in page.text) == (503, True)


async def test_what_says_how_the_program_is_answers_before_it_has_started() -> None:
    async with site_of(configured("shop")) as visitor:
        answers = {
            path: (await visitor.get(path)).status
            for path in ("/healthz", "/metrics", "/pipeline", "/static/page.css", "/api/v1/openapi.json")
        }
        ready = await visitor.get("/readyz")

    assert set(answers.values()) == {200}, answers
    assert (ready.status, ready.text) == (503, "the program is starting\n")


async def test_people_log_in_and_out_before_the_program_has_started() -> None:
    async with site_of(configured("shop", web_token=TOKEN)) as visitor:
        asked = await visitor.get("/login")
        answers = [await visitor.log_in(TOKEN), await visitor.post("/logout")]

    assert (asked.status, "Token" in asked.text) == (200, True)
    assert [answer.status for answer in answers] == [303, 303]


async def test_with_postgresql_unavailable_the_pages_say_so_and_the_pipeline_is_there() -> None:
    store = result_store("postgresql://nobody:hidden-1@127.0.0.1:9/x")

    async with site_of(configured("shop"), store) as visitor:
        pages = {path: await visitor.get(path) for path in PATHS}
        pipeline = await visitor.get("/pipeline")

    known = {"/", "/monitors/shop", "/status"}
    assert {path for path, page in pages.items() if page.status == 200} == known
    assert {pages[path].status for path in set(PATHS) - known} == {503}
    assert {path for path, page in pages.items() if "PostgreSQL is unavailable" not in page.text} == {
        "/status"
    }
    assert not any("hidden-1" in page.text or "127.0.0.1" in page.text for page in pages.values())
    assert (pipeline.status, "Ready" in pipeline.text) == (200, True)


async def test_with_postgresql_unavailable_what_is_sent_may_not_be_stored() -> None:
    store = result_store("postgresql://nobody:hidden-1@127.0.0.1:9/x")

    async with site_of(configured("shop"), store) as visitor:
        sent = await visitor.send("/incidents/1/acknowledge", who="Ada", why="looking")
        read = await visitor.get("/incidents/1")

    assert [each.status for each in (sent, read)] == [503, 503]
    assert ["What was sent may not be stored" in each.text for each in (sent, read)] == [True, False]


async def test_a_page_that_is_not_there_is_a_page_for_browsers_and_a_line_for_programs() -> None:
    async with site_of(configured("shop")) as visitor:
        for_people = await visitor.get("/nothing", **HTML)
        for_programs = await visitor.get("/nothing")
        method = await visitor.post("/pipeline", **HTML)

    assert (for_people.status, "<h1>Not Found</h1>" in for_people.text) == (404, True)
    assert 'href="/">Overview' in for_people.text
    assert (for_programs.status, for_programs.text) == (404, "404: Not Found")
    assert (method.status, method.headers["Allow"]) == (405, "GET,HEAD")


async def test_pages_are_compressed_for_those_who_can_read_that(store: ResultStore) -> None:
    async with site_of(configured("shop"), store) as visitor:
        plain = await visitor.get("/", Accept_Encoding="identity")
        async with (
            aiohttp.ClientSession(auto_decompress=False) as client,
            client.get(visitor.url) as response,
        ):
            compressed = await response.read()

    assert "Content-Encoding" not in plain.headers
    assert response.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(compressed).decode() == plain.text
    assert plain.headers["Cache-Control"] == "no-store"


async def test_what_no_text_of_the_database_can_be_is_a_mistake_of_the_reader(store: ResultStore) -> None:
    async with site_of(configured("shop"), store) as visitor:
        answer = await visitor.get("/incidents?monitor=%00")

    assert (answer.status, "This text is not allowed" in answer.text) == (400, True)


async def test_a_page_is_made_again_when_something_changes(store: ResultStore) -> None:
    async with (
        site_of(configured("shop"), store) as visitor,
        aiohttp.ClientSession() as client,
        client.get(f"{visitor.url}/events") as events,
    ):
        assert await events.content.readline() == b"event: hello\n"
        assert "no result yet" in (await visitor.get("/")).text
        await store.save([result("shop")])
        while await events.content.readline() != b"event: status\n":
            pass
        assert "no result yet" not in (await visitor.get("/")).text


@pytest.mark.parametrize(
    ("text", "number"), [("7", 7), ("0", 1), ("-1", 1), ("", 1), ("x", 1), ("٣", 1), ("9" * 10, 1)]
)
def test_what_is_no_number_is_the_least(text: str, number: int) -> None:
    assert whole_number(text) == number


async def test_a_form_about_what_is_not_there_gets_a_line_for_programs(store: ResultStore) -> None:
    async with site_of(configured("shop"), store) as visitor:
        of_monitor = await visitor.post("/monitors/other/check")
        of_incident = await visitor.send("/incidents/999/acknowledge", who="Ada", why="test")
        for_people = await visitor.post("/monitors/other/check", **HTML)

    assert (of_monitor.status, of_monitor.text) == (404, "no monitor has this name\n")
    assert (of_incident.status, of_incident.text) == (404, "there is no incident of this number\n")
    assert (for_people.status, "<h1>Not Found</h1>" in for_people.text) == (404, True)
