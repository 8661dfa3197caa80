import pytest

from monitor.probe.response import as_text, charset_in

ODD = "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("body", "charset", "text"),
    [
        ("grüße".encode(), None, "grüße"),
        ("grüße".encode("latin-1"), "latin-1", "grüße"),
        ("grüße".encode(), "no-such-charset", "grüße"),
        ("grüße".encode("utf-16"), "utf-16", "grüße"),
        (b"a\0b", None, f"a{ODD}b"),
        (b"a\xff\xfeb", None, f"a{ODD}{ODD}b"),
        (b"+2AA-", "utf-7", "?"),
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
