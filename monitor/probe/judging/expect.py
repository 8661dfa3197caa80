"""Whether a response satisfies what is expected of it. Pure.

Each expectation is compiled once and then judges any number of responses.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from monitor.config.expressions import compile_pattern
from monitor.config.public_url import public_text
from monitor.probe.response import in_utf8
from monitor.result import Reason, Tls
from monitor.runtime.text import quoted

Failure = tuple[Reason, str]
"""The reason, and the detail for a person."""

MAX_DETAIL = 1_000


@dataclass
class Response:
    """What expectations need to know of a response."""

    status: int
    headers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Values by the name in small letters; only headers of which something is expected."""
    body: bytes | bytearray = b""
    charset: str | None = None
    truncated: bool = False
    """Whether there is more of the body than was read."""
    response_time: float = 0.0
    checked_at: float = 0.0
    tls: Tls | None = None
    """Of the last request."""
    certificate_expires_at: float | None = None

    @cached_property
    def text(self) -> bytes:
        """The body in UTF-8. Where it is truncated, a NUL follows, so that no pattern matches its end."""
        text = in_utf8(self.body, self.charset)
        return text + b"\0" if self.truncated else text


class Expectation(NamedTuple):
    """A compiled expectation."""

    judge: Callable[[Response], Iterable[Failure]]
    """Returns each way in which a response does not satisfy it."""
    effort: int = 0
    """Steps that judging takes at worst for each byte of the response; 0: negligible."""


def status_in(allowed: Sequence[str | int]) -> Expectation:
    """Expect one of these codes (`204`), ranges (`"200-399"`) or classes (`"2xx"`)."""
    ranges = tuple(_range(str(each)) for each in allowed)
    expected = ", ".join(map(str, allowed))

    def judge(response: Response) -> Iterable[Failure]:
        if not any(response.status in each for each in ranges):
            yield Reason.STATUS, f"status {response.status}, expected {expected}"

    return Expectation(judge)


def header_has(name: str, patterns: Sequence[str], *, may_be_missing: bool = False) -> Expectation:
    """Expect a header, and each of these to be found in one of its values."""
    compiled = [(shown(pattern), compile_pattern(pattern)) for pattern in patterns]

    def judge(response: Response) -> Iterable[Failure]:
        values = [encoded(value) for value in response.headers.get(name.lower(), ())]
        if not values:
            if not may_be_missing:
                yield Reason.HEADER, f"there is no header {name}"
            return
        for written, pattern in compiled:
            if not any(map(pattern.search, values)):
                yield Reason.HEADER, f'the header {name} does not match "{written}"'

    return Expectation(judge, sum(pattern.programsize for _, pattern in compiled))


def header_lacks(name: str, patterns: Sequence[str]) -> Expectation:
    """Expect no header with a value in which one of these is found."""
    compiled = [(shown(pattern), compile_pattern(pattern)) for pattern in patterns]

    def judge(response: Response) -> Iterable[Failure]:
        values = [encoded(value) for value in response.headers.get(name.lower(), ())]
        for written, pattern in compiled:
            if any(map(pattern.search, values)):
                yield Reason.HEADER, f'the header {name} matches "{written}"'

    return Expectation(judge, sum(pattern.programsize for _, pattern in compiled))


def answered_within(max_response_time_s: float) -> Expectation:
    """Expect the last byte within this time, from the start of the check."""

    def judge(response: Response) -> Iterable[Failure]:
        if response.response_time > max_response_time_s:
            took = f"took {response.response_time:.3f} s"
            yield Reason.TOO_SLOW, f"{took}, expected at most {max_response_time_s:g} s"

    return Expectation(judge)


def judged(expectations: Iterable[Expectation], response: Response) -> Failure | None:
    """Return why the response does not satisfy the expectations; `None` if it satisfies all.

    The reason is that of the first one that failed; an expectation that could not be
    decided gives the reason only if no other one failed. The detail contains all of them.
    """
    failures = [failure for each in expectations for failure in each.judge(response)]
    if not failures:
        return None
    failures.sort(key=lambda failure: failure[0] is Reason.BODY_TOO_LARGE)
    return failures[0][0], "; ".join(detail for _, detail in failures)[:MAX_DETAIL]


def shown(expected: str) -> str:
    """Return a pattern or an expression of the configuration as it may stand in a detail."""
    return quoted(public_text(expected))


def encoded(value: str) -> bytes:
    """Return the value of a header, or a name in a certificate, as patterns are searched in it."""
    return value.encode("utf-8", "surrogateescape")


def _range(allowed: str) -> range:
    if allowed[1:].lower() == "xx":
        return range(100 * int(allowed[0]), 100 * int(allowed[0]) + 100)
    first, _, last = allowed.partition("-")
    return range(int(first), int(last or first) + 1)
