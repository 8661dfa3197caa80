"""Alerts when several processes send them, and when one dies while it does."""

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from monitor.alerts.decision import decide
from monitor.alerts.store import AlertStore
from tests.alerting import NOW, plan
from tests.alerting_process import MONITORS
from tests.bookkeeping import Book
from tests.program import ROOT
from tests.receivers import HttpReceiver
from tests.stream import eventually

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(database: str) -> Iterator[Start]:
    """Start processes that send alerts; they are ended after the test."""
    with ExitStack() as after:

        def run(webhook: str, lease_s: float = 180) -> subprocess.Popen[bytes]:
            arguments = [sys.executable, "-m", "tests.alerting_process", database, webhook, str(lease_s)]
            process = subprocess.Popen(arguments, cwd=ROOT)
            after.callback(process.wait, 60)
            after.callback(process.send_signal, signal.SIGTERM)
            return process

        yield run


def ids(receiver: HttpReceiver) -> Counter[int]:
    return Counter(json.loads(body)["id"] for _, body in receiver.requests)


async def test_two_processes_send_each_of_a_thousand_changes_once(
    start: Start, receiver: HttpReceiver, book: Book
) -> None:
    await book.many_past(500)
    start(receiver.url)
    start(receiver.url)
    await asyncio.wait_for(receiver.came.wait(), 60)
    await book.many_past(500)

    await eventually("all is sent", book.all_done, 180)

    sent = ids(receiver)
    assert len(sent) == 1_000
    assert set(sent.values()) == {1}
    assert {each["attempts"] for each in await book.deliveries()} == {1}


async def test_what_a_process_had_decided_and_not_sent_when_it_was_killed_is_sent(
    start: Start, receiver: HttpReceiver, book: Book, alert_store: AlertStore
) -> None:
    await book.opened("s1")
    await alert_store.decide(plan(*MONITORS, channels=("hook",)), NOW, decide)

    start(receiver.url)

    await eventually("all is sent", book.all_done)
    assert set(ids(receiver).values()) == {1}


async def test_what_a_process_was_sending_when_it_was_killed_is_sent_again(
    start: Start, receiver: HttpReceiver, book: Book
) -> None:
    receiver.hold = asyncio.Event()
    await book.opened("s1")
    killed = start(receiver.url, 1)
    await asyncio.wait_for(receiver.came.wait(), 60)

    killed.kill()
    receiver.hold.set()
    await asyncio.to_thread(killed.wait, 60)
    assert not await book.all_done()
    start(receiver.url, 180)

    await eventually("all is sent", book.all_done)
    assert list(ids(receiver).values()) == [2]
    assert [each["attempts"] for each in await book.deliveries()] == [2]
