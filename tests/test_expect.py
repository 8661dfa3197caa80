import pytest

from monitor.expect import Response, first_failed, status_in
from monitor.result import Reason


@pytest.mark.parametrize(
    ("allowed", "status", "satisfied"),
    [
        (["200-399"], 200, True),
        (["200-399"], 399, True),
        (["200-399"], 199, False),
        (["200-399"], 400, False),
        ([204], 204, True),
        (["204"], 204, True),
        ([204], 205, False),
        (["2xx"], 299, True),
        (["2XX"], 200, True),
        (["2xx"], 300, False),
        (["2xx"], 199, False),
        ([204, "4xx"], 404, True),
        ([204, "4xx"], 500, False),
    ],
)
def test_a_status_is_judged_by_codes_ranges_and_classes(
    allowed: list[str | int], status: int, satisfied: bool
) -> None:
    assert (status_in(allowed)(Response(status)) is None) == satisfied


def test_the_first_expectation_that_fails_is_told() -> None:
    expectations = (status_in([200, 503]), status_in([200, "3xx"]), status_in([204]))

    assert first_failed(expectations, Response(503)) == (Reason.STATUS, "status 503, expected 200, 3xx")


def test_without_expectations_every_response_will_do() -> None:
    assert first_failed((), Response(503)) is None
