"""Test messages to channels, as people send them from the command line."""

import asyncio
import json
import signal

from monitor.alerts.channels.trial import Trial
from tests.program import Program, Start
from tests.receivers import HttpReceiver, MailServer

UNAVAILABLE = {"pg_uri": "postgresql://127.0.0.1:9/x", "kafka_bootstrap": "127.0.0.1:9"}


def trying(program: Start, **channels: object) -> Program:
    return program(
        url_to_monitor="http://127.0.0.1:9/", location="Vienna", alerts={"channels": channels}, **UNAVAILABLE
    )


def hook(url: str) -> dict[str, str]:
    return {"webhook": f"{url}/s3cret", "secret": "hunter2"}


async def test_each_channel_gets_a_test_message_without_kafka_and_postgresql(
    program: Start, receiver: HttpReceiver, mail_server: MailServer
) -> None:
    monitor = trying(program, mail=mail_server.url("me"), hook=hook(receiver.url))

    code, printed = await asyncio.to_thread(monitor.run, "--test-alerts")

    assert code == 0
    first, second = printed.splitlines()
    assert first.startswith("mail: accepted after ")
    assert second.startswith("hook: accepted after ")
    (mail,) = mail_server.mails
    assert mail["Subject"] == "A test of the website health monitor"
    assert "This is a test of the channel mail." in mail.get_content()
    ((_, body),) = receiver.requests
    document = json.loads(body)
    assert (document["event"], document["monitors"]) == ("test", [])
    assert document["text"].endswith("Sent from: Vienna")
    assert document["id"] < 0
    assert not (monitor.folder / "d").exists()


async def test_a_channel_that_refuses_is_shown_with_the_reason_and_ends_in_1(
    program: Start, receiver: HttpReceiver, mail_server: MailServer
) -> None:
    receiver.statuses = [404]
    monitor = trying(
        program, hook=hook(receiver.url), mail=mail_server.url("unknown"), ok=mail_server.url("me")
    )

    code, printed = await asyncio.to_thread(monitor.run, "--test-alerts")

    assert code == 1
    lines = printed.splitlines()
    assert lines[:2] == [
        "hook: not accepted: the answer was 404",
        "mail: not accepted: the mail server answered 550",
    ]
    assert lines[2].startswith("ok: accepted after ")
    assert "s3cret" not in printed + monitor.printed()


async def test_one_channel_can_be_chosen(program: Start, receiver: HttpReceiver) -> None:
    monitor = trying(program, broken="json://127.0.0.1:9/", hook=hook(receiver.url))

    code, printed = await asyncio.to_thread(monitor.run, "--test-alerts", "hook")

    assert code == 0
    assert printed.startswith("hook: accepted after ")
    assert len(printed.splitlines()) == len(receiver.requests) == 1


def test_a_channel_that_is_not_configured_ends_in_2(program: Start) -> None:
    monitor = trying(program, mail="json://127.0.0.1:9/", chat="json://127.0.0.1:9/")

    assert monitor.run("--test-alerts", "mial") == (2, "")

    assert monitor.printed() == f'{monitor.path}: alerts.channels: no channel "mial"; known are mail, chat\n'


def test_without_any_channel_there_is_nothing_to_try(program: Start) -> None:
    monitor = trying(program)

    assert monitor.run("--test-alerts") == (2, "")
    assert monitor.run("--test-alerts", "mail") == (2, "")

    assert monitor.printed() == 2 * f"{monitor.path}: alerts.channels: no channel; must be at least one\n"


async def test_a_stop_before_the_answer_ends_in_1(program: Start, receiver: HttpReceiver) -> None:
    receiver.hold = asyncio.Event()
    monitor = trying(program, hook=hook(receiver.url))
    monitor.start("--test-alerts")
    await receiver.came.wait()

    monitor.signal(signal.SIGINT)

    assert await asyncio.to_thread(monitor.wait) == 1
    assert "Traceback" not in monitor.printed()
    receiver.hold.set()


def test_an_outcome_is_a_line() -> None:
    assert str(Trial("mail", 1.0, 0.0834, None)) == "mail: accepted after 83 ms"
    assert str(Trial("mail", 1.0, 0.0834, "the answer was 404")) == "mail: not accepted: the answer was 404"
