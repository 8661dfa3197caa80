"""What must be found in a response's text, and what must not. Pure."""

from collections.abc import Iterable

from monitor.expect import Expectation, Failure, Response
from monitor.pattern import compile_pattern
from monitor.public_url import public_text
from monitor.result import Reason
from monitor.runtime_text import quoted


def body_has(pattern: str) -> Expectation:
    """Expect to find this in the body; one that was cut before it is undecided."""
    compiled = compile_pattern(pattern)
    told = f"the body does not match {_shown(pattern)}"

    def judge(response: Response) -> Iterable[Failure]:
        if compiled.search(response.text) is None:
            yield _undecided(pattern) if response.truncated else (Reason.BODY, told)

    return Expectation(judge, compiled.programsize)


def body_lacks(pattern: str) -> Expectation:
    """Expect not to find this in the body; one that was cut before it is undecided."""
    compiled = compile_pattern(pattern)
    told = f"the body matches {_shown(pattern)}"

    def judge(response: Response) -> Iterable[Failure]:
        if compiled.search(response.text) is not None:
            yield Reason.BODY, told
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
            yield Reason.HEADER, f"the header {name} does not match {_shown(pattern)}"

    return Expectation(judge, compiled.programsize)


def header_lacks(name: str, pattern: str) -> Expectation:
    """Expect no header with a value in which this is found."""
    compiled = compile_pattern(pattern)

    def judge(response: Response) -> Iterable[Failure]:
        if any(compiled.search(_encoded(value)) for value in response.headers.get(name.lower(), ())):
            yield Reason.HEADER, f"the header {name} matches {_shown(pattern)}"

    return Expectation(judge, compiled.programsize)


def _encoded(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")


def _undecided(pattern: str) -> Failure:
    return Reason.BODY_TOO_LARGE, f"the part of the body that was read does not match {_shown(pattern)}"


def _shown(pattern: str) -> str:
    return quoted(public_text(pattern))
