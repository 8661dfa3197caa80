"""What of a URL and of a text may be shown."""

import time
from collections.abc import Callable

import pytest

from monitor.config.public_url import Expanded, mask_urls, public_text, public_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example", "https://a.example"),
        ("https://u@a.example?x=1", "https://a.example?x=1"),
        ("https://u:p@ss@a.example/@b", "https://a.example/@b"),
        ("https://a.example/@b", "https://a.example/@b"),
        (
            "https://a.example/?access_token=1&X-Amz-Signature=2&apiKey=3",
            "https://a.example/?access_token=***&X-Amz-Signature=***&apiKey=***",
        ),
        (
            "https://a.example/?access-key=1&pass=2&sid=3&hmac=4&jwt=5&code=6&auth=7&pwd=8&accesskey=9",
            "https://a.example/?access-key=***&pass=***&sid=***&hmac=***&jwt=***&code=***&auth=***&pwd=***&accesskey=***",
        ),
        (
            "https://a.example/?mytoken=1&%74oken=2&monkey=3&token=",
            "https://a.example/?mytoken=***&%74oken=***&monkey=3&token=",
        ),
        (
            "https://a.example/;jsessionid=1#access_token=2&a=3",
            "https://a.example/;jsessionid=***#access_token=***&a=3",
        ),
        (
            "https://a.example/?author=1&keyboard=2&API_KEY=3&PWD=4",
            "https://a.example/?author=1&keyboard=2&API_KEY=***&PWD=***",
        ),
        ("https://a.example/?token&a?b?token=1", "https://a.example/?token&a?b?token=***"),
        (Expanded("https://u:env@a.example/env", ((10, 13), (24, 27))), "https://a.example/***"),
    ],
)
def test_secret_parts_of_a_url_are_not_shown(url: str, shown: str) -> None:
    assert public_url(url) == shown


def test_what_came_from_the_environment_is_masked_in_a_text() -> None:
    text = Expanded("release s3cret of s4cret!", ((8, 14), (18, 24)))

    assert public_text(text) == "release *** of ***!"
    assert public_text("release 1") == "release 1"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:pass@a.test/x", "https://a.test/x"),
        ("https://user:p@ss@a.test/x", "https://a.test/x"),
        ("<https://u:p@a.test>; rel=next, <https://t@b.test?token=x>", "<https://a.test>; rel=next, <https://b.test?token=***>"),
        ("/login?next=/a&session_id=x#code=y", "/login?next=/a&session_id=***#code=***"),
        ("0;url=/in?a=1&%74oken=x", "0;url=/in?a=1&%74oken=***"),
        ("text/html; charset=utf-8", "text/html; charset=utf-8"),
        ('Basic realm="shop"', 'Basic realm="shop"'),
        ("mail@a.test", "mail@a.test"),
    ],
)  # fmt: skip
def test_secrets_are_masked_in_all_urls_of_a_text(text: str, shown: str) -> None:
    assert mask_urls(text) == shown


@pytest.mark.parametrize("part", ["?", "://", "&token", "?a=", "://u@", "=", "@"])
@pytest.mark.parametrize("shown", [mask_urls, public_url])
def test_no_text_takes_long(part: str, shown: Callable[[str], str]) -> None:
    text = "https://a.example/" + part * (32_768 // len(part))

    took_s = []
    for _ in range(3):
        began = time.thread_time()
        shown(text)
        took_s.append(time.thread_time() - began)

    assert min(took_s) < 0.5
