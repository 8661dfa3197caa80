"""Does a response satisfy what was asked of it. Pure.

Each expectation is compiled once and then judges any number of responses.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from monitor.result import Reason


@dataclass(frozen=True, slots=True)
class Response:
    """What expectations are about."""

    status: int


# Says why a response does not satisfy, or `None` when it does.
Expectation = Callable[[Response], tuple[Reason, str] | None]


def status_in(allowed: Sequence[str | int]) -> Expectation:
    """Expect one of these codes (`204`), ranges (`"200-399"`) or classes (`"2xx"`)."""
    ranges = tuple(_range(str(each)) for each in allowed)
    told = ", ".join(map(str, allowed))

    def judge(response: Response) -> tuple[Reason, str] | None:
        if any(response.status in each for each in ranges):
            return None
        return Reason.STATUS, f"status {response.status}, expected {told}"

    return judge


def first_failed(expectations: Sequence[Expectation], response: Response) -> tuple[Reason, str] | None:
    """Judge the response; tell the first expectation that it does not satisfy."""
    return next(filter(None, (judge(response) for judge in expectations)), None)


def _range(allowed: str) -> range:
    if allowed[1:].lower() == "xx":
        return range(100 * int(allowed[0]), 100 * int(allowed[0]) + 100)
    first, _, last = allowed.partition("-")
    return range(int(first), int(last or first) + 1)
