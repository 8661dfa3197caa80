"""The files that pages need, as browsers get and keep them."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import aiohttp
import brotli
import pytest

from monitor import web
from tests.web.visitor import Visitor, configured, site_of

FOLDER = Path(str(web.__file__)).with_name("static")
FILES = [path.name for path in FOLDER.iterdir()]


async def _linked(visitor: Visitor) -> dict[str, str]:
    """Return the URLs of files on a page that is there before the start, by name."""
    page = (await visitor.get("/pipeline")).text
    return {
        name: f"/static/{name}{query}" for name, query in re.findall(r'"/static/([\w.]+)(\?[^"]*)"', page)
    }


async def test_what_pages_link_to_may_be_kept_for_good() -> None:
    async with site_of(configured("shop")) as visitor:
        urls = await _linked(visitor)
        kept = {name: (await visitor.get(url)).headers["Cache-Control"] for name, url in urls.items()}

    assert kept == dict.fromkeys(FILES, "public, max-age=31536000, immutable")


@pytest.mark.parametrize("query", ["", "?v=", "?v=0123456789abcdef", "?w=1"])
async def test_a_file_under_another_url_is_asked_for_each_time(query: str) -> None:
    async with site_of(configured("shop")) as visitor:
        first = await visitor.get(f"/static/page.css{query}")
        again = await visitor.get(f"/static/page.css{query}", If_None_Match=first.headers["Etag"])
        other = await visitor.get(f"/static/page.css{query}", If_None_Match='"other"')

    assert (first.status, again.status, other.status) == (200, 304, 200)
    assert first.headers["Cache-Control"] == again.headers["Cache-Control"] == "no-cache"
    assert again.text == ""


@pytest.mark.parametrize(
    ("accepted", "coding", "decoded"),
    [
        ("gzip, deflate, br", "br", brotli.decompress),
        ("gzip, deflate", "gzip", gzip.decompress),
        ("br;q=0, gzip", "gzip", gzip.decompress),
        ("identity", None, bytes),
    ],
)
async def test_a_file_is_compressed_for_who_takes_that(
    accepted: str, coding: str | None, decoded: Callable[[bytes], bytes]
) -> None:
    async with (
        site_of(configured("shop")) as visitor,
        aiohttp.ClientSession(auto_decompress=False) as client,
        client.get(f"{visitor.url}/static/page.css", headers={"Accept-Encoding": accepted}) as response,
    ):
        body = await response.read()

        assert response.headers.get("Content-Encoding") == coding
        assert (response.headers["Vary"], response.content_type) == ("Accept-Encoding", "text/css")
    assert decoded(body) == FOLDER.joinpath("page.css").read_bytes()
    assert coding is None or len(body) < FOLDER.joinpath("page.css").stat().st_size / 2


async def test_each_file_has_its_type() -> None:
    async with site_of(configured("shop")) as visitor:
        types = {(await visitor.get(f"/static/{name}")).headers["Content-Type"] for name in FILES}

    assert types == {"text/css", "text/javascript", "image/svg+xml"}


async def test_a_page_describes_itself() -> None:
    async with site_of(configured("shop")) as visitor:
        page = (await visitor.get("/pipeline")).text

    assert re.search(r'<meta name="description" content="[^"]{20,150}">', page)
