"""The values that a step saves of its response. Pure, but for a thread that reads large responses."""

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jmespath  # type: ignore[import-untyped]
import msgspec
from aiohttp import CookieJar

from monitor.config.expressions import CapturingPattern, compile_capturing
from monitor.config.steps.step import Save
from monitor.probe.judging.expect import Failure, Response, shown
from monitor.probe.judging.expect_body import (
    DECODING_EFFORT,
    JSON_EFFORT,
    NoJsonError,
    document_in,
    found_in,
    kind_of,
)
from monitor.probe.judging.judge import STEPS_ON_LOOP, in_thread, size_of
from monitor.probe.response import Received
from monitor.result import Reason

MAX_LENGTH = 16_384  # characters of a value


class Saved(NamedTuple):
    """What was found, the secrets in it, and why something was not, if so."""

    values: dict[str, str]
    secrets: set[str]
    """The values, also as they are written in the page."""
    failure: Failure | None


class _NothingError(Exception):
    """There is nothing to save; `failure` is why."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.failure = reason, detail


class _Source(NamedTuple):
    """Where a value is found, and how long that takes for each byte of the body."""

    find: Callable[[Response, Mapping[str, str]], str]
    effort: int
    reason: Reason


class Saves:
    """Finds the values that one step saves."""

    def __init__(self, save: Mapping[str, Save]) -> None:
        self._sources = {name: _source(each) for name, each in save.items()}
        self._headers = {each.header.lower() for each in save.values() if each.header is not None}
        self._effort = sum(each.effort for each in self._sources.values())

    async def find(self, seen: Received, jar: CookieJar) -> Saved:
        """Return the values of a response, and of cookies; a large response is read in a thread.

        Raises:
            OwnTroubleError: there is no thread left.

        """
        response = Response(
            status=seen.status or 0,
            headers={name: seen.headers.getall(name, ()) for name in self._headers},
            body=seen.body,
            charset=seen.charset,
            truncated=seen.truncated,
        )
        is_html = "html" in seen.headers.get("Content-Type", "").lower()
        cookies = {cookie.key: cookie.value for cookie in jar}
        if self._effort * size_of(response) <= STEPS_ON_LOOP:
            return self._found(response, cookies, is_html=is_html)
        return await in_thread(lambda: self._found(response, cookies, is_html=is_html))

    def _found(self, response: Response, cookies: Mapping[str, str], *, is_html: bool) -> Saved:
        saved = Saved({}, set(), None)
        for name, source in self._sources.items():
            try:
                written = source.find(response, cookies)
                saved.secrets.add(written)
                value = _unescaped(written) if is_html and source.reason is Reason.BODY else written
                saved.secrets.add(value)
                saved.values[name] = _checked(value, source.reason)
            except (_NothingError, NoJsonError) as error:
                reason, detail = error.failure
                saved = saved._replace(
                    failure=saved.failure or (reason, f"nothing to save as {name}: {detail}")
                )
        return saved


def _unescaped(written: str) -> str:
    try:
        return html.unescape(written)
    except ValueError:  # Python reads no number of thousands of digits
        raise _NothingError(Reason.BODY, "it has a character reference that no character has") from None


def _checked(value: str, reason: Reason) -> str:
    if not value:
        raise _NothingError(reason, "it is empty")
    if len(value) > MAX_LENGTH:
        raise _NothingError(reason, f"it is longer than {MAX_LENGTH} characters")
    return value


def _source(save: Save) -> _Source:
    if save.json is not None:
        return _Source(_in_json(save.json), JSON_EFFORT, Reason.JSON)
    if save.body_regex is not None:
        compiled = compile_capturing(save.body_regex)
        effort = DECODING_EFFORT + compiled.programsize
        return _Source(_in_body(compiled, save.body_regex), effort, Reason.BODY)
    if save.header is not None:
        effort = 0 if save.regex is None else compile_capturing(save.regex).programsize
        return _Source(_in_header(save.header, save.regex), effort, Reason.HEADER)
    return _Source(_in_cookies(save.cookie or ""), 0, Reason.HEADER)


def _in_json(expression: str) -> Callable[..., str]:
    compiled, written = jmespath.compile(expression), shown(expression)

    def find(response: Response, _: object) -> str:
        found: Any = found_in(document_in(response), compiled, written)
        if isinstance(found, str):
            return found
        if not isinstance(found, bool | int | float):
            detail = f"{written} is {kind_of(found)}, expected a string or a number"
            raise _NothingError(Reason.JSON, detail)
        return msgspec.json.encode(found).decode()

    return find


def _in_body(compiled: CapturingPattern, pattern: str) -> Callable[..., str]:
    def find(response: Response, _: object) -> str:
        found = _searched([response.text], compiled)
        if found is None and response.truncated:
            detail = f'the part of the body that was read does not match "{shown(pattern)}"'
            raise _NothingError(Reason.BODY_TOO_LARGE, detail)
        if found is None:
            raise _NothingError(Reason.BODY, f'the body does not match "{shown(pattern)}"')
        return found

    return find


def _in_header(name: str, pattern: str | None) -> Callable[..., str]:
    compiled = None if pattern is None else compile_capturing(pattern)

    def find(response: Response, _: object) -> str:
        values = [value.encode("utf-8", "surrogateescape") for value in response.headers[name.lower()]]
        if not values:
            raise _NothingError(Reason.HEADER, f"there is no header {name}")
        if compiled is None:
            return values[0].decode("utf-8", "replace")
        found = _searched(values, compiled)
        if found is None:
            detail = f'the header {name} does not match "{shown(pattern or "")}"'
            raise _NothingError(Reason.HEADER, detail)
        return found

    return find


def _in_cookies(name: str) -> Callable[..., str]:
    def find(_: object, cookies: Mapping[str, str]) -> str:
        if name not in cookies:
            raise _NothingError(Reason.HEADER, f"there is no cookie {name}")
        return cookies[name]

    return find


def _searched(texts: Sequence[bytes], compiled: CapturingPattern) -> str | None:
    """Return what the group matches in the first text in which it matches something."""
    for text in texts:
        match = compiled.search(text)
        group = match.group(1) if match else None
        if group is not None:
            return group.decode("utf-8", "replace")
    return None
