"""Expectations of a response's body: patterns, and expressions on JSON. Pure."""

from collections.abc import Iterable, Sequence
from types import NoneType
from typing import Any

import jmespath  # type: ignore[import-untyped]
import msgspec

from monitor.config.expressions import compile_pattern
from monitor.probe.judging.expect import Expectation, Failure, Response, shown
from monitor.result import Reason

MAX_JSON_VALUES = 100_000
"""Parsing them takes up to 15 ms, during which no other thread runs."""

# Measured: an expression takes up to 6 us for each element of a list, whose two bytes are "1,".
JSON_EFFORT = 200
DECODING_EFFORT = 10  # some charsets take 200 ns for a byte that is none of theirs
# What an expression can raise on values that it was not written for.
_UNFIT = (ValueError, TypeError, ArithmeticError, RecursionError)
# What an expression can return instead of `true`, beside numbers.
_KINDS = {NoneType: "null", bool: "false", str: "a string", list: "a list", dict: "an object"}


def body_has(pattern: str) -> Expectation:
    """Expect to find this in the body; undecided if it is not in the part that was read."""
    compiled = compile_pattern(pattern)
    detail = f'the body does not match "{shown(pattern)}"'

    def judge(response: Response) -> Iterable[Failure]:
        if compiled.search(response.text) is None:
            yield _undecided(pattern) if response.truncated else (Reason.BODY, detail)

    return Expectation(judge, DECODING_EFFORT + compiled.programsize)


def body_lacks(pattern: str) -> Expectation:
    """Expect not to find this in the body; undecided if it is not in the part that was read."""
    compiled = compile_pattern(pattern)
    detail = f'the body matches "{shown(pattern)}"'

    def judge(response: Response) -> Iterable[Failure]:
        if compiled.search(response.text) is not None:
            yield Reason.BODY, detail
        elif response.truncated:
            yield _undecided(pattern)

    return Expectation(judge, DECODING_EFFORT + compiled.programsize)


def body_ends(response: Response) -> Iterable[Failure]:
    """Judge whether the whole body was read."""
    if response.truncated:
        detail = f"the body continues after the {len(response.body)} bytes that were read"
        yield Reason.BODY_TOO_LARGE, detail


def _undecided(pattern: str) -> Failure:
    return Reason.BODY_TOO_LARGE, f'the part of the body that was read does not match "{shown(pattern)}"'


class NoJsonError(Exception):
    """There is no JSON to look at; `failure` is why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure[1])
        self.failure = failure


def document_in(response: Response) -> Any:
    """Return the JSON of the body.

    Raises:
        NoJsonError: there is none, or it is too large.

    """
    undecidable = _undecidable(response)
    if undecidable is not None:
        raise NoJsonError(undecidable)
    try:
        return msgspec.json.decode(response.text.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.MsgspecError, RecursionError):
        raise NoJsonError((Reason.JSON, "the body is not JSON, or nested too deeply")) from None


def found_in(document: Any, expression: Any, written: str) -> Any:
    """Return what a compiled JMESPath expression finds; `written` is what to call it.

    Raises:
        NoJsonError: the expression cannot be applied to this document.

    """
    try:
        return expression.search(document)
    except _UNFIT:
        raise NoJsonError((Reason.JSON, f"{written} does not fit this JSON")) from None


def kind_of(found: Any) -> str:
    """Return what an expression has found, in words."""
    return _KINDS.get(type(found), "a number")


def _undecidable(response: Response) -> Failure | None:
    """Return why a response's JSON is not parsed; signs in strings count as values, too."""
    if response.truncated:
        detail = f"the JSON continues after the {len(response.body)} bytes that were read"
        return Reason.BODY_TOO_LARGE, detail
    if sum(map(response.text.count, (b",", b"[", b"{"))) > MAX_JSON_VALUES:
        return Reason.BODY_TOO_LARGE, f"the JSON has more than {MAX_JSON_VALUES} values"
    return None


def json_is_true(expressions: Sequence[str]) -> Expectation:
    """Expect that each of these JMESPath expressions returns `true`; no other value counts as true."""
    compiled = [(shown(each), jmespath.compile(each)) for each in expressions]

    def judge(response: Response) -> Iterable[Failure]:
        try:
            document = document_in(response)
        except NoJsonError as error:
            yield error.failure
            return
        for written, expression in compiled:
            try:
                found = found_in(document, expression, written)
            except NoJsonError as error:
                yield error.failure
            else:
                if found is not True:
                    yield Reason.JSON, f"{written} is {kind_of(found)}, expected true"

    return Expectation(judge, JSON_EFFORT * len(compiled))
