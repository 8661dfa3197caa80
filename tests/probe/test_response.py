"""What is kept of a response: its text, its headers without credentials, and what two of them mean."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from monitor.probe.masking import Masking
from monitor.probe.response import BODY_BYTES, HEADERS_LENGTH, Received, as_text, charset_in, evidence

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


def test_without_a_response_there_is_no_evidence() -> None:
    assert Received().evidence(Masking(), keep_body=True) is None


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


def headers(*each: tuple[str, str]) -> dict[str, str]:
    return evidence(each, b"", None, Masking()).headers


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Server", "nginx", "nginx"),
        ("Set-Cookie", "session=1", "***"),
        ("Cookie2", "a", "***"),
        ("Authorization", "Basic a", "***"),
        ("Proxy-Authorization", "Basic a", "***"),
        ("X-Api-Key", "a", "***"),
        ("X-CSRF-Token", "a", "***"),
        ("X-Error-Code", "E17", "E17"),
        ("WWW-Authenticate", 'Basic realm="a"', 'Basic realm="a"'),
        ("Location", "https://u:p@a.test/?token=x&b=1", "https://a.test/?token=***&b=1"),
        ("X-Raw", "a\udce4b", "a\ufffdb"),
        ("X-Utf8", "\udcc3\udca4", "ä"),
        ("X-Nul", "a\0b", "a\ufffdb"),
    ],
)
def test_a_header_is_kept_without_credentials(name: str, value: str, shown: str) -> None:
    assert headers((name, value)) == {name: shown}


def test_values_of_one_name_are_joined() -> None:
    assert headers(("Via", "a"), ("Server", "x"), ("via", "b")) == {"Via": "a, b", "Server": "x"}


def test_headers_are_kept_up_to_a_limit() -> None:
    kept = headers(("A", "a" * 8_000), ("B", "ä" * 200), ("C", "c"))

    assert kept == {"A": "a" * 8_000, "B": "ä" * (HEADERS_LENGTH - 8_002)}


def test_a_password_that_is_cut_is_not_kept() -> None:
    assert headers(("A", "a" * 8_000 + "https://user:" + "s3cret" * 100 + "@a.test/"))["A"].endswith(
        "https://"
    )
    assert headers(("A", "a" * 8_000 + "https://a.test/" + "b" * 500))["A"].endswith("bbb")


def test_the_beginning_of_a_body_is_kept_as_text() -> None:
    assert evidence((), b"\xe4\0" + b"x" * 2_000, "latin-1", Masking()).body == "ä\ufffd" + "x" * (
        BODY_BYTES - 2
    )


RAW = st.binary(max_size=50).map(lambda raw: raw.decode("utf-8", "surrogateescape"))


@given(st.lists(st.tuples(st.sampled_from(["A", "Location", "Set-Cookie"]), RAW)))
def test_whatever_the_values_are_they_can_be_stored(pairs: list[tuple[str, str]]) -> None:
    assert b"\\u0000" not in msgspec.json.encode(evidence(pairs, b"", None, Masking()))
