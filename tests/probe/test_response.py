"""What is read of a response: its text, and what two of its headers mean."""

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from monitor.probe.response import Received, as_text, charset_in

ODD = "\N{REPLACEMENT CHARACTER}"
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


def received(**headers: str) -> Received:
    seen = Received()
    seen.headers = CIMultiDictProxy(
        CIMultiDict({name.replace("_", "-"): text for name, text in headers.items()})
    )
    return seen


@pytest.mark.parametrize(
    ("length", "read"),
    [("0", 0), ("1234", 1234), ("9" * 19, None), ("-1", None), ("1, 1", None), ("", None), ("٣", None)],
)
def test_a_length_is_the_one_in_the_header(length: str, read: int | None) -> None:
    assert received(content_length=length).content_length == read


@pytest.mark.parametrize(
    ("date", "read"),
    [
        (DATE, 784_111_777.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777.0),
        ("Sun Nov  6 08:49:37 1994", 784_111_777.0),
        ("Sun, 06 Nov 1994 09:49:37 +0100", 784_111_777.0),
        ("", None),
        ("yesterday", None),
        ("Sun, 06 Nov 1994 08:49:37 +99999999999999999999", None),
        ("Sun, 99 Nov 1994 08:49:37 GMT", None),
        (DATE + " " * 100, None),
    ],
)
def test_a_date_is_the_one_in_the_header(date: str, read: float | None) -> None:
    assert received(last_modified=date).last_modified_at == read


def test_a_response_without_these_headers_has_no_length_and_no_date() -> None:
    assert (Received().content_length, Received().last_modified_at) == (None, None)


@pytest.mark.parametrize(
    ("body", "charset", "text"),
    [
        ("grüße".encode(), None, "grüße"),
        ("grüße".encode("latin-1"), "latin-1", "grüße"),
        ("grüße".encode(), "no-such-charset", "grüße"),
        ("grüße".encode("utf-16"), "utf-16", "grüße"),
        (b"a\0b", None, f"a{ODD}b"),
        (b"a\xff\xfeb", None, f"a{ODD}{ODD}b"),
        (b"+AGE-", "utf-7", "+AGE-"),
        ("grüße".encode("utf-16-le"), "utf-16", "grüße"),
        ("grüße".encode("utf-16-be"), "utf-16-be", "grüße"),
        ("grüße".encode("utf-32-be"), "utf-32-be", "grüße"),
        ("grüße".encode("utf-32"), "UTF 32", "grüße"),
        (b"abc", "mbcs", "abc"),
        (b"abc", "idna", "abc"),
        (b"\\ud800", "unicode_escape", "\\ud800"),
        (b"YWJj", "base64", "YWJj"),
        (b"abc", "\0", "abc"),
        (b"abc", "", "abc"),
    ],
)
def test_a_body_becomes_text(body: bytes, charset: str | None, text: str) -> None:
    assert as_text(body, charset, 100) == (text, False)


@pytest.mark.parametrize(
    ("body", "charset", "limit", "text", "cut"),
    [
        (b"abc", None, 3, "abc", False),
        (b"abcd", None, 3, "abc", True),
        ("äää".encode(), None, 3, "ä", True),
        (b"a\0\0", None, 4, f"a{ODD}", True),
        ("ab".encode("utf-32"), "utf-32", 2, "ab", False),
        (b"x" * 1000, None, 3, "xxx", True),
        (b"x", None, 0, "", True),
        (b"", None, 0, "", False),
    ],
)
def test_a_long_body_is_cut_between_characters(
    body: bytes, charset: str | None, limit: int, text: str, cut: bool
) -> None:
    assert as_text(body, charset, limit) == (text, cut)


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        ("text/html; charset=utf-8", "utf-8"),
        ('text/html;Charset = "ISO-8859-1"; x=y', "ISO-8859-1"),
        ("text/html; charset='latin1'", "latin1"),
        ("text/html; charset=", None),
        ("text/html", None),
        ("", None),
        ("charset" * 10_000 + " " * 10_000, None),
    ],
)
def test_a_charset_is_found(content_type: str, charset: str | None) -> None:
    assert charset_in(content_type) == charset
