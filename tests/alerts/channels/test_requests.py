"""What a service that gets alerts answers cannot stop the program."""

from typing import Any

import aiohttp
import pytest

from monitor.alerts.channels.requests import MAX_ANSWER_BYTES, status_of, trouble_of
from tests.sites import Serve, answer, flood, hang, ok, redirect

INTERIM = [b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"]


@pytest.mark.parametrize("interim", INTERIM)
async def test_interim_responses_for_ever_are_no_answer(interim: bytes, serve: Serve) -> None:
    url = serve(flood(b"", 8_000 * interim))

    with pytest.raises(aiohttp.ServerDisconnectedError):
        await status_of("GET", url, 60)


@pytest.mark.parametrize("interim", INTERIM)
async def test_a_few_are_skipped(interim: bytes, serve: Serve) -> None:
    assert await status_of("POST", serve(answer(20 * interim, ok())), 60, data=b"hello") == 200


@pytest.mark.parametrize("interim", INTERIM)
async def test_16_kib_are_read_and_no_more(interim: bytes, serve: Serve) -> None:
    def answered_after(size: int) -> str:
        return serve(answer(size // len(interim) * interim, ok()))

    assert await status_of("GET", answered_after(16_000), 60) == 200
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await status_of("GET", answered_after(17_000), 60)


async def test_of_a_long_answer_the_status_counts(serve: Serve) -> None:
    long = ok(10 * MAX_ANSWER_BYTES * b"x").replace(b"200 OK", b"500 No")

    assert await status_of("GET", serve(answer(long)), 60) == 500


async def test_an_answer_without_end_is_one(serve: Serve) -> None:
    assert await status_of("GET", serve(flood(b"HTTP/1.1 202 OK\r\n\r\n", bytes(100_000))), 60) == 202


async def test_redirects_are_followed_where_that_is_wanted(serve: Serve) -> None:
    url = serve(answer(redirect(serve(answer(ok())))))

    assert await status_of("GET", url, 60) == 200
    assert await status_of("GET", url, 60, allow_redirects=False) == 302


async def test_there_is_a_deadline(hanging_receiver: str) -> None:
    with pytest.raises(TimeoutError):
        await status_of("GET", f"http://{hanging_receiver}/", 0.1)


async def test_why_there_is_no_answer_is_said_in_words_without_the_url(serve: Serve) -> None:
    async def trouble(url: str, deadline_s: float = 60) -> str:
        try:
            return str(await status_of("GET", url, deadline_s))
        except (aiohttp.ClientError, OSError) as error:
            return trouble_of(error)

    assert await trouble("http://127.0.0.1:1/s3cret") == "no connection: connection refused"
    assert await trouble(serve(answer(b"odd\r\n\r\n"))) == "the answer is not valid HTTP"
    assert await trouble(serve(answer(b""))) == "the connection was closed"
    assert await trouble(serve(hang), 0.05) == "no answer in time"


def test_trouble_with_names_and_with_tls_is_told_apart() -> None:
    where: Any = None

    assert trouble_of(aiohttp.ClientConnectorDNSError(where, OSError(-2, "x"))) == "its name is not in DNS"
    assert trouble_of(aiohttp.ClientConnectorSSLError(where, OSError(1, "x"))) == "no TLS"


def test_other_trouble_is_no_connection() -> None:
    assert trouble_of(aiohttp.ClientError("http://a.example/s3cret")) == "no connection"
