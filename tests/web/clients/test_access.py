"""Who may see which page, and which headers all of them have."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from monitor.config.model import Config
from monitor.web.server import serving
from monitor.web.site import Site
from tests.web.visitor import ANYWHERE, HTML, TOKEN, Visitor, configured, nobody_logs_in, site_of

BEARER = {"Authorization": f"Bearer {TOKEN}"}
HEADERS = {
    "Content-Security-Policy",
    "Cross-Origin-Opener-Policy",
    "Cross-Origin-Resource-Policy",
    "Referrer-Policy",
    "X-Content-Type-Options",
}


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Visitor]:
    async with site_of(configured("shop", web_token=TOKEN, data_dir=str(tmp_path))) as visitor:
        yield visitor


@pytest.fixture
async def unguarded() -> AsyncIterator[Visitor]:
    async with site_of(configured("shop")) as visitor:
        yield visitor


async def test_a_person_logs_in_once_and_sees_the_page_that_was_asked_for(guarded: Visitor) -> None:
    sent = await guarded.get("/monitors/shop?range=7d", **HTML)
    assert (sent.status, sent.headers["Location"]) == (303, "/login?next=/monitors/shop?range%3D7d")
    asked = await guarded.get(sent.headers["Location"])
    assert 'name="next" value="/monitors/shop?range=7d"' in asked.text

    let_in = await guarded.log_in(TOKEN, "/monitors/shop?range=7d")

    assert (let_in.status, let_in.headers["Location"]) == (303, "/monitors/shop?range=7d")
    cookie = let_in.headers["Set-Cookie"]
    assert re.search(r"; HttpOnly;.*; Path=/; SameSite=Lax$", cookie)
    assert TOKEN not in cookie
    guarded.headers["Cookie"] = cookie.partition(";")[0]
    assert (await guarded.get("/pipeline", **HTML)).status == 200


async def test_a_person_who_logs_out_is_asked_again_and_the_cookie_opens_nothing(guarded: Visitor) -> None:
    cookie = (await guarded.log_in(TOKEN)).headers["Set-Cookie"].partition(";")[0]
    assert '<form method="post" action="/logout">' in (await guarded.get("/pipeline", Cookie=cookie)).text

    out = await guarded.post("/logout", Cookie=cookie, Sec_Fetch_Site="same-origin")

    assert (out.status, out.headers["Location"]) == (303, "/login")
    assert re.match('website_health_session="";.*Max-Age=0; Path=/', out.headers["Set-Cookie"])
    assert (await guarded.get("/pipeline", Cookie=cookie)).status == 401
    assert (await guarded.post("/logout", Cookie=cookie)).status == 303


async def test_no_other_site_s_page_logs_anybody_out(guarded: Visitor) -> None:
    cookie = (await guarded.log_in(TOKEN)).headers["Set-Cookie"].partition(";")[0]

    assert (await guarded.post("/logout", Cookie=cookie, Sec_Fetch_Site="cross-site")).status == 403
    assert (await guarded.get("/logout", Cookie=cookie)).status == 405

    assert (await guarded.get("/pipeline", Cookie=cookie)).status == 200


async def test_behind_a_proxy_with_tls_the_cookie_is_for_tls_alone(guarded: Visitor) -> None:
    let_in = await guarded.log_in(TOKEN, X_Forwarded_Proto="https")

    assert "; Secure" in let_in.headers["Set-Cookie"]


async def test_wrong_tokens_are_refused_and_ten_in_a_minute_are_the_last(guarded: Visitor) -> None:
    for _ in range(9):
        assert (await guarded.get("/", Authorization="Bearer other")).status == 401
    refused = await guarded.log_in("other")
    assert (refused.status, "This is not the token." in refused.text) == (403, True)

    for limited in (
        await guarded.log_in("other"),
        await guarded.get("/", Authorization="Bearer other"),
        await guarded.log_in("other", **HTML),
    ):
        assert limited.status == 429
        assert 0 < int(limited.headers["Retry-After"]) <= 61
        assert "too many wrong tokens" in limited.text
    assert (await guarded.get("/status")).status == 503


async def test_who_guesses_locks_nobody_out_who_has_the_token(guarded: Visitor) -> None:
    for _ in range(11):
        guessed = await guarded.get("/pipeline", Authorization="Bearer other")

    assert guessed.status == 429
    assert (await guarded.get("/pipeline", **BEARER)).status == 200
    assert (await guarded.log_in(TOKEN)).status == 303


async def test_behind_a_trusted_proxy_each_client_has_its_own_tries(tmp_path: Path) -> None:
    settings = {"web_token": TOKEN, "data_dir": str(tmp_path), "trusted_proxies": "127.0.0.1"}
    async with site_of(configured("shop", **settings)) as visitor:

        async def guess(client: str) -> int:
            return (await visitor.get("/", Authorization="Bearer other", X_Forwarded_For=client)).status

        assert [await guess("192.0.2.1") for _ in range(11)] == [401] * 10 + [429]
        assert await guess("203.0.113.9, 192.0.2.1") == 429
        assert await guess("192.0.2.2") == 401


@pytest.mark.parametrize(
    ("asked", "onward"),
    [
        ("/incidents?state=open", "/incidents?state=open"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("/\tx", "/"),
        ("/x\r\nSet-Cookie: a=b", "/"),
        ("incidents", "/"),
        ("", "/"),
    ],
)
async def test_the_login_leads_to_pages_of_this_server_only(
    guarded: Visitor, asked: str, onward: str
) -> None:
    let_in = await guarded.log_in(TOKEN, asked)

    assert let_in.headers["Location"] == onward


async def test_what_the_login_is_asked_for_cannot_run(guarded: Visitor) -> None:
    page = await guarded.get('/login?next=/"><script>alert(1)</script>')

    assert "<script>alert" not in page.text


@pytest.mark.parametrize(
    "credentials",
    [
        {},
        {"Authorization": "Basic dDBrZW4="},
        {"Authorization": "Bearer"},
        {"Cookie": "website_health_session=9999999999.ab.cd"},
        {"Cookie": f"website_health_session={TOKEN}"},
    ],
)
async def test_nothing_else_than_the_token_opens_a_page(
    guarded: Visitor, credentials: dict[str, str]
) -> None:
    answer = await guarded.get("/pipeline", **credentials)

    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


async def test_a_change_without_a_session_is_refused_and_led_nowhere(guarded: Visitor) -> None:
    refused = await guarded.post("/monitors/shop/check", **HTML)

    assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert refused.headers["Content-Type"] == "text/html; charset=utf-8"
    assert '<form class="act" method="post" action="/login">' in refused.text
    assert (await guarded.post("/monitors/shop/check")).text == "web_token is needed\n"


BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"}
GET, POST = "get", "post"


@pytest.mark.parametrize("accept", [BROWSER, HTML, {"Accept": "application/json"}, {}])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        (GET, "/api"),
        (GET, "/api/v1/monitors"),
        (GET, "/api/v1/openapi.json"),
        (GET, "/api/v1/nothing"),
        (POST, "/api/v1/monitors/shop/check"),
    ],
)
async def test_programs_are_never_led_to_the_login(
    guarded: Visitor, method: str, path: str, accept: dict[str, str]
) -> None:
    answer = await getattr(guarded, method)(path, **accept)

    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert json.loads(answer.text)["detail"] == "web_token is needed"


@pytest.mark.parametrize("path", ["/", "/pipeline", "/metrics", "/nothing", "/apis", "/monitors/api"])
async def test_browsers_are_led_to_the_login_and_other_programs_refused(guarded: Visitor, path: str) -> None:
    stale = {"Cookie": "website_health_session=1.ab.cd"}

    for asking in (BROWSER, BROWSER | stale):
        led = await guarded.get(path, **asking)
        assert (led.status, led.headers["Location"]) == (303, f"/login?next={path}")
    answer = await guarded.get(path, Accept="*/*")
    assert (answer.status, answer.text) == (401, "web_token is needed\n")


async def test_what_is_asked_for_leads_to_no_other_server(guarded: Visitor) -> None:
    led = await guarded.get("//evil.example/", **HTML)
    asked = await guarded.get(led.headers["Location"])

    assert led.headers["Location"].startswith("/login?next=")
    assert 'name="next" value="/"' in asked.text


async def test_a_browser_with_a_session_reads_the_api_s_problems_as_programs_do(guarded: Visitor) -> None:
    guarded.headers["Cookie"] = (await guarded.log_in(TOKEN)).headers["Set-Cookie"].partition(";")[0]

    answer = await guarded.get("/api/v1/nothing", **BROWSER)

    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")


def routes_of(config: Config) -> set[str]:
    site = Site(config)
    app = web.Application()
    app.add_routes([*site.access.routes(), *site.routes()])
    return {resource.canonical for resource in app.router.resources()}


async def test_all_but_a_few_pages_are_closed(guarded: Visitor) -> None:
    is_open = {"/healthz", "/status", "/status/rss", "/badges/{name}/{kind}.svg", "/static/{name}"}
    is_open |= {"/login", "/logout"}
    closed = routes_of(configured(web_token=TOKEN)) - is_open
    paths = {path.format(name="shop", id=1, what="silence") for path in closed}

    assert len(paths) >= 9
    for path in (*paths, "/statusx", "/login/x", "/healthz/", "/badges/", "/nothing"):
        assert (await guarded.get(path)).status == 401, path
    for path, status in {
        "/status": 503,
        "/status/rss": 503,
        "/badges/shop/status.svg": 503,
        "/static/page.css": 200,
        "/login": 200,
    }.items():
        assert (await guarded.get(path)).status == status, path


async def test_no_path_leads_out_of_the_open_ones(guarded: Visitor) -> None:
    for path in (
        "/static/../pipeline",
        "/static/%2e%2e/pages.py",
        "/static/..%2fpages.py",
        "/status/../pipeline",
    ):
        assert (await guarded.get(path)).status in (401, 403, 404), path


async def test_without_a_token_nobody_logs_in(unguarded: Visitor) -> None:
    assert (await unguarded.get("/pipeline")).status == 200
    assert (await unguarded.get("/login")).status == 404
    assert (await unguarded.post("/logout")).status == 404
    assert "Log out" not in (await unguarded.get("/pipeline")).text


@pytest.mark.parametrize(
    ("sender", "status"),
    [
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Sec_Fetch_Site": "same-origin"}, 503),
        ({"Sec_Fetch_Site": "none"}, 503),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "own"}, 503),
        ({}, 503),
    ],
)
async def test_no_other_site_s_page_changes_anything(
    unguarded: Visitor, sender: dict[str, str], status: int
) -> None:
    sender = {name: unguarded.url if text == "own" else text for name, text in sender.items()}

    assert (await unguarded.post("/monitors/shop/check", **sender)).status == status


FOREIGN = (
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
    {"Origin": "https://evil.example"},
)


@pytest.mark.parametrize("sender", FOREIGN)
async def test_no_other_site_s_page_makes_a_check_or_reads_anything(
    unguarded: Visitor, sender: dict[str, str]
) -> None:
    for path in ("/probe?target=shop", "/events", "/metrics", "/api/v1/monitors", "/", "/readyz"):
        refused = await unguarded.get(path, Sec_Fetch_Dest="image", **sender)

        assert (refused.status, "a page of another site" in refused.text) == (403, True), path


@pytest.mark.parametrize("sender", FOREIGN)
async def test_people_follow_links_from_other_sites_but_not_to_what_costs_something(
    unguarded: Visitor, sender: dict[str, str]
) -> None:
    async def followed(path: str) -> int:
        return (await unguarded.get(path, Sec_Fetch_Dest="document", **sender)).status

    assert await followed("/pipeline") == 200
    assert await followed("/nothing") == 404
    assert await followed("/probe?target=shop") == 403
    assert await followed("/events") == 403
    assert (await unguarded.post("/monitors/shop/check", Sec_Fetch_Dest="document", **sender)).status == 403


@pytest.mark.parametrize("sender", FOREIGN)
async def test_pages_of_other_sites_ask_for_what_everybody_may_see(
    guarded: Visitor, sender: dict[str, str]
) -> None:
    for path, status in {
        "/status": 503,
        "/badges/shop/status.svg": 503,
        "/healthz": 200,
        "/login": 200,
    }.items():
        assert (await guarded.get(path, **sender)).status == status, path


async def test_programs_and_own_pages_are_no_pages_of_other_sites(unguarded: Visitor) -> None:
    for sender in ({}, {"Sec_Fetch_Site": "same-origin"}, {"Sec_Fetch_Site": "none"}):
        assert (await unguarded.get("/metrics", **sender)).status == 200
        assert (await unguarded.get("/probe", **sender)).status == 503


async def test_every_answer_has_the_headers_for_browsers(guarded: Visitor) -> None:
    known = await guarded.get("/static/page.css")
    answers = {
        200: await guarded.get("/pipeline", **BEARER),
        303: await guarded.get("/", **HTML),
        304: await guarded.get("/static/page.css", If_None_Match=known.headers["Etag"]),
        401: await guarded.get("/"),
        403: await guarded.post("/login", Sec_Fetch_Site="cross-site"),
        404: await guarded.get("/nothing", **BEARER),
        405: await guarded.post("/pipeline", **BEARER),
        503: await guarded.get("/status"),
    }

    for status, answer in answers.items():
        assert answer.status == status
        assert answer.headers.keys() >= HEADERS, status
    policy = answers[200].headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


async def test_an_answer_under_another_name_has_the_headers_for_browsers(unguarded: Visitor) -> None:
    answer = await unguarded.get("/", Host="rebound.example")

    assert (answer.status, answer.headers.keys() >= HEADERS) == (421, True)


async def test_the_answer_of_a_bug_has_the_headers_for_browsers() -> None:
    async def broken(_: web.Request) -> web.Response:
        raise LookupError

    async with (
        serving(ANYWHERE, nobody_logs_in(ANYWHERE), [web.get("/", broken)]) as (url,),
        aiohttp.ClientSession() as client,
        client.get(url) as response,
    ):
        assert (response.status, set(response.headers) >= HEADERS) == (500, True)
