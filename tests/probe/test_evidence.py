import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.probe.response import BODY_BYTES, HEADERS_LENGTH, evidence


def headers(*each: tuple[str, str]) -> dict[str, str]:
    return evidence(each, b"", None).headers


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
    assert evidence((), b"\xe4\0" + b"x" * 2_000, "latin-1").body == "ä\ufffd" + "x" * (BODY_BYTES - 2)


RAW = st.binary(max_size=50).map(lambda raw: raw.decode("utf-8", "surrogateescape"))


@given(st.lists(st.tuples(st.sampled_from(["A", "Location", "Set-Cookie"]), RAW)))
def test_whatever_the_values_are_they_can_be_stored(pairs: list[tuple[str, str]]) -> None:
    assert b"\\u0000" not in msgspec.json.encode(evidence(pairs, b"", None))
