"""What goes wrong below `/api` is a problem that programs can read."""

import aiohttp
import pytest
from aiohttp import web

from monitor.storage.results import ResultStore
from monitor.web.server import serving
from tests.postgres import PostgresServer, result_store
from tests.web.api.client import Client, Open
from tests.web.visitor import ANYWHERE, nobody_logs_in


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1", "/api/v2/monitors", "/api/v1/nothing"])
async def test_an_address_that_there_is_not(api: Client, path: str) -> None:
    problem = await api.refused(path, 404)

    assert problem["title"] == "Not Found"
    assert problem["detail"] == "there is no such address"


async def test_a_method_that_is_not_allowed(api: Client) -> None:
    problem = await api.refused("/api/v1/monitors", 405, "DELETE")

    assert problem["detail"] == "allowed here: GET,HEAD"


async def test_an_allowed_method_is_a_header_too(api: Client) -> None:
    answered = await api("/monitors", "PUT", 405)

    assert answered.headers["Allow"] == "GET,HEAD"
    assert answered.headers["X-Content-Type-Options"] == "nosniff"


async def test_another_name_of_this_machine(api: Client) -> None:
    problem = await api.refused("/api/v1/monitors", 421, headers={"Host": "rebound.example"})

    assert problem["detail"] == "this server does not answer to this host name"


async def test_a_page_of_another_site(api: Client) -> None:
    other = {"Origin": "https://evil.example"}

    problem = await api.refused("/api/v1/monitors/shop/check", 403, "POST", headers=other)

    assert problem["detail"] == "a page of another site is not allowed to do this"


async def test_the_token_is_needed(open_api: Open, store: ResultStore) -> None:
    client = await open_api(store, web_token="t0ken")  # noqa: S106

    problem = await client.refused("/api/v1/monitors", 401)
    answered = await client("/monitors", status=401)
    await client("/monitors", headers={"Authorization": "Bearer t0ken"})

    assert problem["detail"] == "web_token is needed"
    assert answered.headers["WWW-Authenticate"] == "Bearer"


async def test_too_many_wrong_tokens(open_api: Open) -> None:
    client = await open_api(web_token="t0ken")  # noqa: S106
    wrong = {"Authorization": "Bearer wrong"}
    for _ in range(10):
        await client.refused("/api/v1/monitors", 401, headers=wrong)

    answered = await client("/monitors", status=429, headers=wrong)

    assert 1 <= int(answered.headers["Retry-After"]) <= 61


async def test_the_program_is_starting(open_api: Open) -> None:
    client = await open_api()

    for path in ("monitors", "monitors/shop", "uptime", "incidents", "monitors/shop/export", "silences"):
        assert (await client.refused(f"/api/v1/{path}", 503))["detail"] == "the program is starting"


async def test_the_database_is_unavailable(open_api: Open, own_postgres_server: PostgresServer) -> None:
    store = result_store(own_postgres_server.uri())
    await store.database.open()
    client = await open_api(store)
    own_postgres_server.stop()

    for path in ("monitors", "monitors/shop/results", "monitors/shop/export", "uptime", "incidents/1"):
        problem = await client.refused(f"/api/v1/{path}", 503)
        assert problem["detail"] == "PostgreSQL is unavailable; checks continue"
    assert (await client("/incidents", status=503)).headers["Retry-After"] == "5"
    await store.database.close()


async def test_a_bug_is_answered_without_its_details(caplog: pytest.LogCaptureFixture) -> None:
    async def bug(_: web.Request) -> web.Response:
        raise ZeroDivisionError("s3cret")

    async def torn(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begin")
        raise ZeroDivisionError("s3cret")

    async def too_large(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    routes = [
        web.get("/api/v1/bug", bug),
        web.get("/api/v1/torn", torn),
        web.get("/elsewhere", bug),
        web.post("/api/v1/large", too_large),
    ]
    async with (
        serving(ANYWHERE, nobody_logs_in(ANYWHERE), routes) as (url,),
        aiohttp.ClientSession() as session,
    ):
        async with session.get(f"{url}api/v1/bug") as response:
            assert (await response.json(content_type="application/problem+json")) == {
                "type": "about:blank",
                "title": "Internal Server Error",
                "status": 500,
                "detail": "a bug; the log of the program has more",
                "errors": [],
            }
        with pytest.raises(aiohttp.ClientPayloadError):
            async with session.get(f"{url}api/v1/torn") as response:
                await response.read()
        async with session.get(f"{url}elsewhere") as response:
            assert (response.status, response.content_type) == (500, "text/plain")
        async with session.post(f"{url}api/v1/large", data=b"." * 65_537) as response:
            problem = await response.json(content_type="application/problem+json")
            assert (response.status, problem["status"]) == (413, 413)

    assert "a bug: /api/v1/bug" in caplog.text
    assert "a bug: /elsewhere" in caplog.text
    assert "ZeroDivisionError: s3cret" in caplog.text
