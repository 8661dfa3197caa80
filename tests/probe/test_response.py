import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from monitor.probe.response import Received

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


def received(**headers: str) -> Received:
    seen = Received()
    seen.headers = CIMultiDictProxy(
        CIMultiDict({name.replace("_", "-"): text for name, text in headers.items()})
    )
    return seen


@pytest.mark.parametrize(
    ("length", "told"),
    [("0", 0), ("1234", 1234), ("9" * 19, None), ("-1", None), ("1, 1", None), ("", None), ("٣", None)],
)
def test_a_length_is_the_one_in_the_header(length: str, told: int | None) -> None:
    assert received(content_length=length).content_length == told


@pytest.mark.parametrize(
    ("date", "told"),
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
def test_a_date_is_the_one_in_the_header(date: str, told: float | None) -> None:
    assert received(last_modified=date).last_modified_at == told


def test_a_response_without_these_headers_has_no_length_and_no_date() -> None:
    assert (Received().content_length, Received().last_modified_at) == (None, None)


def test_without_a_response_there_is_no_evidence() -> None:
    assert Received().evidence(keep_body=True) is None
