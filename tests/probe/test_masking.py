"""Secrets that a site sends back are not kept; what is expected of them is judged nevertheless."""

import base64
import html
import json
import re
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config.public_url import MASK
from monitor.probe.masking import MAX_LENGTH, MIN_LENGTH, Masking
from monitor.result import Reason, encode
from tests.sites import Check, Serve, answer, ok, read_request, redirect

SECRETS = st.text(st.characters(codec="utf-8", exclude_characters="*"), min_size=MIN_LENGTH)
BEARER = {"bearer_token": "s3cret-bearer"}
AROUND = st.text(st.characters(max_codepoint=127))


def small_hex(text: str) -> str:
    return re.sub("%..", lambda code: code[0].lower(), quote(text, ""))


@pytest.mark.parametrize(
    "encoded",
    [
        str,
        lambda secret: base64.b64encode(secret.encode()).decode(),
        lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
        quote,
        quote_plus,
        small_hex,
        json.dumps,
        lambda secret: json.dumps(secret, ensure_ascii=False).replace("/", r"\/"),
        html.escape,
        lambda secret: html.escape(secret).replace("&#x27;", "&#39;"),
        lambda secret: html.escape(secret).replace("&#x27;", "&#039;"),
        lambda secret: html.escape(secret).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
        lambda secret: quote(secret, "!'()*~"),
        lambda secret: quote(secret, "!#$&'()*+,/:;=?@~"),
    ],
)
@pytest.mark.parametrize(
    "secret", ["s3cret-value", "(a b/c='d';*)", "ü/ü&<p>\"a's s+?>", "\\n\n\x7fabc", "''''''\0"]
)
def test_no_form_of_a_secret_is_left(secret: str, encoded: Callable[[str], str]) -> None:
    form = encoded(secret)

    masked = Masking([secret]).text(f"before {form} and {form} after")

    assert secret not in masked
    assert form.strip('"') not in masked
    assert masked.count(MASK) == 2
    assert masked.replace('"', "") == f"before {MASK} and {MASK} after"


@given(secret=SECRETS, before=AROUND, after=AROUND)
def test_base64_of_more_than_the_secret_shows_at_most_a_part_of_its_ends(
    secret: str, before: str, after: str
) -> None:
    whole = base64.b64encode(f"{before}{secret}{after}".encode()).decode()

    assert MASK in Masking([secret]).text(whole)


@given(secret=SECRETS, before=AROUND, kept=st.integers(MIN_LENGTH))
def test_the_beginning_of_a_secret_where_a_text_was_cut_is_not_left(
    secret: str, before: str, kept: int
) -> None:
    masked = Masking([secret]).text(before + secret[:kept])

    assert MASK in masked
    assert secret[:kept] not in masked


def test_a_character_that_was_cut_does_not_hide_the_beginning_of_a_secret() -> None:
    assert Masking(["s3cretü"]).text("it is s3cret\ufffd") == f"it is {MASK}"
    assert Masking(["s3s3s3s3cret"]).text("it is s3s3s3s3s3") == f"it is s3{MASK}"


@given(text=st.text())
def test_without_secrets_texts_stay_as_they_are(text: str) -> None:
    assert Masking().text(text) == Masking().line(text) == Masking(["abcde", ""]).text(text) == text


def test_of_a_very_long_secret_the_beginning_is_masked() -> None:
    body = "".join(map(str, range(20_000)))

    assert Masking([body]).text(f"it was {body}") == f"it was {MASK}{body[MAX_LENGTH:]}"
    assert Masking([body]).text(f"it was {body[:50_000]}") == f"it was {MASK}"


def test_a_secret_has_six_characters_or_more() -> None:
    assert Masking(["five5"]).text("five5") == "five5"
    assert Masking(["sixsix"]).text("sixsix") == MASK


def test_a_longer_secret_is_masked_as_a_whole() -> None:
    assert Masking(["s3cret", "user:s3cret"]).text("user:s3cret") == MASK
    assert Masking(["s3cret", "a s3cret"]).text("a s3cret") == MASK


def test_many_short_lines_take_no_long_time_with_long_secrets() -> None:
    masking = Masking([str(number) + 'S<+"\N{SNOWMAN} &' * 2_000 for number in range(5)])

    began = time.thread_time()
    lines = [masking.line(f"X-Header-{number}") for number in range(1_000)]

    assert time.thread_time() - began < 1.0
    assert lines[-1] == "X-Header-999"


def test_a_name_of_a_host_has_only_small_letters() -> None:
    assert Masking(["S3cretKey"]).line("no address of s3cretkey.example") == f"no address of {MASK}.example"


def echo(connection: socket.socket, _: object) -> None:
    """Answer with the request, in three forms: in the body, in headers and in the name of one."""
    request = read_request(connection)
    line, *headers = request.decode().split("\r\n")
    token = next((each.split()[-1] for each in headers if each.startswith("Authorization: ")), "A")
    body = b"\n".join((request, quote(request).encode(), base64.b64encode(request)))
    told = [f"X-Line: {line}", *(f"X-Was-{each}" for each in headers if each), f"{token.rstrip('=')}: 1"]
    lines = ["HTTP/1.1 500 No", *told, f"Content-Length: {len(body)}", "", ""]
    connection.sendall("\r\n".join(lines).encode() + body)


@pytest.mark.parametrize(
    ("settings", "secrets"),
    [
        ({"bearer_token": "s3cret-bearer"}, ["s3cret-bearer"]),
        ({"headers": {"X-Api-Key": "s3cret-key"}}, ["s3cret-key"]),
        ({"headers": {"Cookie": "a=1; session=s3cret-session"}}, ["s3cret-session"]),
        ({"headers": {"Authorization": "Token s3cret-token"}}, ["s3cret-token"]),
        (
            {"basic_auth": {"username": "user", "password": "s3cret-password"}},
            ["s3cret-password", "dXNlcjpzM2NyZXQtcGFzc3dvcmQ"],
        ),
    ],
)
async def test_a_site_that_sends_back_the_request_brings_no_secret_into_its_result(
    serve: Serve, check: Check, settings: dict[str, Any], secrets: list[str]
) -> None:
    expect = {"body_regex": secrets[-1], "status": "2xx"}

    result = await check(serve(echo) + "/?page=1&token=s3cret-parameter", **settings, expect=expect)

    kept = encode(result).value.decode()
    assert result.detail == "status 500, expected 2xx"  # not that the body does not match
    for secret in ("s3cret-parameter", *secrets):
        encoded = base64.b64encode(secret.encode()).decode()
        assert not any(form in kept for form in (secret, quote(secret, ""), encoded))
    assert result.response_data.startswith(f"GET /?page=1&token={MASK} HTTP/1.1")
    assert result.evidence is not None
    assert result.evidence.body.startswith(f"GET /?page=1&token={MASK} HTTP/1.1")
    assert result.evidence.headers["X-Line"] == f"GET /?page=1&token={MASK} HTTP/1.1"


async def test_a_secret_in_what_is_no_http_is_not_in_the_detail(serve: Serve, check: Check) -> None:
    result = await check(serve(answer(b"s3cret-bearer s3cret-bearer\r\n\r\n")), **BEARER)

    assert result.reason is Reason.PROTOCOL_ERROR
    assert result.detail is not None
    assert MASK in result.detail
    assert "s3cret" not in result.detail


@pytest.mark.parametrize("limit", ["store_body_bytes", "max_body_bytes"])
async def test_a_secret_where_the_kept_body_ends_is_not_kept_in_part(
    serve: Serve, check: Check, limit: str
) -> None:
    for cut in (6, 9, 12):
        body = b"." * (1024 - cut) + b"s3cret-bearer" + b"." * 9_000

        result = await check(
            serve(answer(ok(body))),
            **BEARER,
            expect={"header_regex": {"X-None": "."}},
            **{limit: 1024},
        )

        assert result.evidence is not None
        assert result.response_data[: 1024 - cut + 3] == "." * (1024 - cut) + MASK
        assert "s3cret" not in result.response_data + result.evidence.body


async def test_a_secret_in_a_redirect_is_neither_in_the_detail_nor_in_the_evidence(
    serve: Serve, check: Check
) -> None:
    site = serve(answer(redirect("http://S3cret-bearer.invalid/s3cret-bearer")))

    followed = await check(site, **BEARER)
    kept = await check(site, **BEARER, follow_redirects=False, expect={"status": "200"})

    assert followed.detail is not None
    assert f"{MASK}.invalid" in followed.detail
    assert kept.evidence is not None
    assert kept.evidence.headers["Location"] == f"http://S3cret-bearer.invalid/{MASK}"


def test_more_secrets_are_masked_beside_the_first_ones() -> None:
    first = Masking(["s3cret-one"])
    both = first.with_more(["s3cret-one-more"])

    assert both.text("s3cret-one s3cret-one-more") == f"{MASK} {MASK}"
    assert first.text("s3cret-one-more") == f"{MASK}-more"


def test_secrets_are_masked_wherever_they_are_in_a_document() -> None:
    document = {"S3cret-one": ["a s3cret-one", 1, None], "b": ({"c": "s3cret-o"},)}

    shown = Masking(["S3cret-one", "s3cret-one"]).within(document)

    assert shown == {MASK: [f"a {MASK}", 1, None], "b": [{"c": MASK}]}


@pytest.mark.parametrize(
    "written",
    [r"to\u0026ken+/==", r"to\u0026ken\u002b/\u003d\u003d", r"to\u0026ken\u002B/=="],
)
def test_a_secret_is_found_in_json_that_is_safe_in_html(written: str) -> None:
    assert Masking(["to&ken+/=="]).text(f'{{"token": "{written}"}}') == f'{{"token": "{MASK}"}}'


def test_a_secret_is_found_in_a_page_that_is_made_by_go() -> None:
    assert Masking(["to'ken+/=="]).text("to&#39;ken&#43;/==") == MASK
