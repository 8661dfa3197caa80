"""Expectations of a response's body and headers: patterns, and expressions on JSON. Pure."""

from collections.abc import Iterable

from monitor.config.expressions import compile_pattern
from monitor.config.public_url import public_text
from monitor.expect import Expectation, Failure, Response
from monitor.result import Reason
from monitor.runtime.text import quoted


def body_has(pattern: str) -> Expectation:
    """Expect to find this in the body; undecided if it is not in the part that was read."""
    compiled = compile_pattern(pattern)
    detail = f"the body does not match {shown(pattern)}"

    def judge(response: Response) -> Iterable[Failure]:
        if compiled.search(response.text) is None:
            yield _undecided(pattern) if response.truncated else (Reason.BODY, detail)

    return Expectation(judge, compiled.programsize)


def body_lacks(pattern: str) -> Expectation:
    """Expect not to find this in the body; undecided if it is not in the part that was read."""
    compiled = compile_pattern(pattern)
    detail = f"the body matches {shown(pattern)}"

    def judge(response: Response) -> Iterable[Failure]:
        if compiled.search(response.text) is not None:
            yield Reason.BODY, detail
        elif response.truncated:
            yield _undecided(pattern)

    return Expectation(judge, compiled.programsize)


def header_has(name: str, pattern: str) -> Expectation:
    """Expect a header with a value in which this is found."""
    compiled = compile_pattern(pattern)

    def judge(response: Response) -> Iterable[Failure]:
        values = response.headers.get(name.lower(), ())
        if not values:
            yield Reason.HEADER, f"there is no header {name}"
        elif not any(compiled.search(_encoded(value)) for value in values):
            yield Reason.HEADER, f"the header {name} does not match {shown(pattern)}"

    return Expectation(judge, compiled.programsize)


def header_lacks(name: str, pattern: str) -> Expectation:
    """Expect no header with a value in which this is found."""
    compiled = compile_pattern(pattern)

    def judge(response: Response) -> Iterable[Failure]:
        if any(compiled.search(_encoded(value)) for value in response.headers.get(name.lower(), ())):
            yield Reason.HEADER, f"the header {name} matches {shown(pattern)}"

    return Expectation(judge, compiled.programsize)


def _encoded(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")


def _undecided(pattern: str) -> Failure:
    return Reason.BODY_TOO_LARGE, f"the part of the body that was read does not match {shown(pattern)}"


def shown(expected: str) -> str:
    """Return a pattern or an expression of the configuration as it may stand in a detail."""
    return quoted(public_text(expected))
