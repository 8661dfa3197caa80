"""All expectations of one monitor on one response, judged in a thread where that may take long."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future

from monitor.config.model import Expect
from monitor.probe.judging.expect import (
    Expectation,
    Failure,
    Response,
    answered_within,
    certificates_last,
    header_has,
    header_lacks,
    judged,
    status_in,
)
from monitor.probe.judging.expect_body import body_has, body_lacks, json_is_true
from monitor.result import OwnTroubleError

# RE2 takes up to 20 ns for a step, so that the event loop is blocked for 10 ms at most.
_STEPS_ON_LOOP = 500_000


class Judge:
    """Judges responses by the expectations of one monitor."""

    def __init__(self, expect: Expect) -> None:
        self.header_names = tuple({name.lower() for name in (*expect.header_regex, *expect.header_not_regex)})
        self._expectations = tuple(_compiled(expect))
        self._effort = sum(each.effort for each in self._expectations)

    async def judge(self, response: Response) -> Failure | None:
        """Return why the response does not satisfy the expectations; `None` if it satisfies all.

        A large response is judged in a thread. There is no time limit, but the time that the expressions
        take is in proportion to the size. Cancelling leaves the thread running; its outcome is dropped.

        Raises:
            OwnTroubleError: there is no thread left.

        """
        if self._effort * _size(response) <= _STEPS_ON_LOOP:
            return judged(self._expectations, response)
        return await _in_thread(lambda: judged(self._expectations, response))


def _compiled(expect: Expect) -> list[Expectation]:
    compiled = [
        status_in(expect.status),
        *(header_has(*each) for each in expect.header_regex.items()),
        *(header_lacks(*each) for each in expect.header_not_regex.items()),
        *map(body_has, expect.body_regex),
        *map(body_lacks, expect.body_not_regex),
    ]
    if expect.json:
        compiled.append(json_is_true(tuple(expect.json)))
    if expect.max_response_time_s is not None:
        compiled.append(answered_within(expect.max_response_time_s))
    if expect.min_certificate_days is not None:
        compiled.append(certificates_last(expect.min_certificate_days))
    return compiled


def _size(response: Response) -> int:
    return len(response.body) + sum(len(value) for values in response.headers.values() for value in values)


async def _in_thread(work: Callable[[], Failure | None]) -> Failure | None:
    outcome: Future[Failure | None] = Future()
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
