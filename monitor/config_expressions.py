"""What the configuration allows as regular expressions and JMESPath.

Each mistake is a `ValueError` of the form `what is wrong; what is allowed`. None shows a value.
"""

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import jmespath  # type: ignore[import-untyped]

from monitor.config_rules import string
from monitor.pattern import compile_pattern

_REGEX = "a regular expression of RE2, which has no look-around and no back-references"


def check_regex(pattern: object) -> str:
    """Allow what RE2 compiles; what came from the environment stays marked as such."""
    written = string(pattern, _REGEX)
    try:
        compile_pattern(written)
    except ValueError as error:
        raise ValueError(f"{error}; must be {_REGEX}") from error
    return written


def check_jmespath(expression: object) -> str:
    """Allow what parses and calls only functions that exist; keep the marks of the environment."""
    written = string(expression, "a JMESPath expression")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            functions = set(_functions(jmespath.compile(written).parsed))
    except (jmespath.exceptions.JMESPathError, ValueError, RecursionError) as error:
        raise ValueError("does not parse; must be a JMESPath expression") from error
    if not functions <= set(jmespath.functions.Functions.FUNCTION_TABLE):
        raise ValueError("calls an unknown function; must be a JMESPath expression with its own functions")
    return written


def _functions(node: Mapping[str, Any]) -> Iterator[str]:
    if node["type"] == "function_expression":
        yield node["value"]
    for child in node["children"]:
        if isinstance(child, dict):
            yield from _functions(child)
