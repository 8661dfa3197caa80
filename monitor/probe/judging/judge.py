"""All expectations of one monitor on one response, judged in a thread where that may take long."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TypeVar

from monitor.config.expect import Expect
from monitor.probe.judging.expect import (
    Expectation,
    Failure,
    Response,
    answered_within,
    header_has,
    header_lacks,
    judged,
    status_in,
)
from monitor.probe.judging.expect_body import body_ends, body_has, body_lacks, json_is_true
from monitor.probe.judging.expect_tls import (
    certificate_is_one_of,
    certificate_issued_by,
    certificates_last,
    tls_at_least,
    tls_is,
)
from monitor.result import OwnTroubleError

# RE2 takes up to 20 ns for a step, so that the event loop is blocked for 10 ms at most.
STEPS_ON_LOOP = 500_000

T = TypeVar("T")


class Judge:
    """Judges responses by the expectations of one monitor."""

    def __init__(self, expect: Expect) -> None:
        named = (*expect.header_regex, *expect.header_regex_if_present, *expect.header_not_regex)
        self.header_names = tuple({name.lower() for name in named})
        self._expectations = tuple(_compiled(expect))
        self._effort = sum(each.effort for each in self._expectations)

    async def judge(self, response: Response) -> Failure | None:
        """Return why the response does not satisfy the expectations; `None` if it satisfies all.

        A large response is judged in a thread. There is no time limit, but the time that the expressions
        take is in proportion to the size. Cancelling leaves the thread running; its outcome is dropped.

        Raises:
            OwnTroubleError: there is no thread left.

        """
        if self._effort * size_of(response) <= STEPS_ON_LOOP:
            return judged(self._expectations, response)
        return await in_thread(lambda: judged(self._expectations, response))


def _compiled(expect: Expect) -> list[Expectation]:
    compiled = [
        *_of_tls(expect),
        status_in(expect.status),
        *(header_has(*each) for each in expect.header_regex.items()),
        *(header_has(*each, may_be_missing=True) for each in expect.header_regex_if_present.items()),
        *(header_lacks(*each) for each in expect.header_not_regex.items()),
        *map(body_has, expect.body_regex),
        *map(body_lacks, expect.body_not_regex),
    ]
    if expect.body_complete:
        compiled.append(Expectation(body_ends))
    if expect.json:
        compiled.append(json_is_true(tuple(expect.json)))
    if expect.max_response_time_s is not None:
        compiled.append(answered_within(expect.max_response_time_s))
    if expect.min_certificate_days is not None:
        compiled.append(certificates_last(expect.min_certificate_days))
    return compiled


def _of_tls(expect: Expect) -> Iterator[Expectation]:
    """Return what is judged first: without it, nobody knows who has sent the rest."""
    if expect.tls is not None:
        yield tls_is(expect.tls)
    if expect.min_tls_version is not None:
        yield tls_at_least(expect.min_tls_version)
    if expect.certificate_issuer is not None:
        yield certificate_issued_by(expect.certificate_issuer)
    if expect.certificate_sha256:
        yield certificate_is_one_of(expect.certificate_sha256)


def size_of(response: Response) -> int:
    """Return how much expressions may go through: the body, and headers of which something is asked."""
    headers = sum(len(value) for values in response.headers.values() for value in values)
    return len(response.body) + headers + (len(response.tls.issuer) if response.tls else 0)


async def in_thread(work: Callable[[], T]) -> T:
    """Return what a thread of its own has found out. Cancelling leaves the thread running.

    Raises:
        OwnTroubleError: there is no thread left.

    """
    outcome: Future[T] = Future()
    outcome.set_running_or_notify_cancel()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as bug:  # noqa: BLE001 - raised where the outcome is awaited
            outcome.set_exception(bug)

    try:
        threading.Thread(target=run, name="judge").start()
    except RuntimeError as error:
        raise OwnTroubleError(str(error)) from error
    return await asyncio.wrap_future(outcome)
