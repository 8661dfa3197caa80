"""Expectations of a body in JSON. Pure."""

from collections.abc import Iterable, Sequence

import jmespath  # type: ignore[import-untyped]
import msgspec

from monitor.expect import Expectation, Failure, Response
from monitor.expect_text import shown
from monitor.result import Reason

# Measured: an expression takes up to 6 us for each element of a list, whose two bytes are "1,".
_EFFORT = 200

# What an expression can raise on values that it was not written for.
_UNFIT = (ValueError, TypeError, ArithmeticError, RecursionError)


def json_is_true(expressions: Sequence[str]) -> Expectation:
    """Expect that each of these JMESPath expressions returns `true`; no other value counts as true."""
    compiled = [(shown(each), jmespath.compile(each)) for each in expressions]

    def judge(response: Response) -> Iterable[Failure]:
        if response.truncated:
            yield (
                Reason.BODY_TOO_LARGE,
                f"the JSON goes on after the {len(response.body)} bytes that were read",
            )
            return
        try:
            document = msgspec.json.decode(response.text.removeprefix(b"\xef\xbb\xbf"))
        except (msgspec.MsgspecError, RecursionError):
            yield Reason.JSON, "the body is not JSON, or nested too deeply"
            return
        for written, expression in compiled:
            try:
                found = expression.search(document)
            except _UNFIT:
                yield Reason.JSON, f"{written} does not fit this JSON"
            else:
                if found is not True:
                    yield Reason.JSON, f"{written} is {_kind(found)}, expected true"

    return Expectation(judge, _EFFORT * len(compiled))


def _kind(found: object) -> str:
    if found is None or found is False:
        return "null" if found is None else "false"
    kinds: dict[type, str] = {str: "a string", list: "a list", dict: "an object"}
    return kinds.get(type(found), "a number")
