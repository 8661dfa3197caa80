import asyncio
import hashlib
import hmac
import io
import json
import logging
import resource
import signal
import subprocess
import sys
import time
from typing import get_args

import psutil
import pytest
from pydantic import SecretStr

from monitor.alerts.channels import apprise_process
from monitor.alerts.channels.apprise_process import MEMORY_BYTES, PROCESSOR_S, Order, Outcome, send
from monitor.alerts.channels.channel import AppriseChannel, Channel, NotDeliveredError, WebhookChannel
from monitor.alerts.channels.failures import failure_in
from monitor.alerts.message import Alert, Event, compose
from monitor.config.alerts import Webhook
from tests.alerting import NOW
from tests.alerts.test_message import subject
from tests.program import until
from tests.receivers import HttpReceiver, MailServer
from tests.sites import Serve, closed_port, flood, no_file_descriptor

ALERT = compose("opened", [subject("café", labels={"team": "ink"}, runbook="https://wiki.example/")], NOW)


BOUND = "from monitor.alerts.channels.apprise_process import bound"
LOAD = "from monitor.config.apprise import load_apprise; apprise = load_apprise()"
MAIN = "from monitor.alerts.channels.apprise_process import main; main()"


async def failed(channel: Channel, alert: Alert = ALERT) -> tuple[str, bool]:
    with pytest.raises(NotDeliveredError) as error:
        await channel.send(7, alert)
    return str(error.value), error.value.permanent


def webhook(url: str, deadline_s: float = 30) -> WebhookChannel:
    return WebhookChannel(Webhook(webhook=SecretStr(url), secret=SecretStr("s3cret")), deadline_s)


def by_apprise(url: str, deadline_s: float = 30) -> AppriseChannel:
    return AppriseChannel(SecretStr(url), deadline_s)


async def test_a_webhook_gets_signed_json(receiver: HttpReceiver) -> None:
    await webhook(f"{receiver.url}/hook").send(7, ALERT)

    ((headers, body),) = receiver.requests
    expected = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    assert headers["X-Signature-256"] == f"sha256={expected}"
    assert headers["Content-Type"] == "application/json"
    document = json.loads(body)
    assert (document["id"], document["event"], document["title"]) == (7, "opened", "café is down")
    assert document["monitors"][0]["reason"] == "status"
    assert document["monitors"][0]["started_at"] == NOW - 3_730
    assert document["monitors"][0]["labels"] == {"team": "ink"}
    assert document["monitors"][0]["runbook"] == "https://wiki.example/"


async def test_a_webhook_takes_no_proxy_from_the_environment(
    receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")

    await webhook(receiver.url).send(7, ALERT)

    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("status", "permanent"),
    [
        (302, True),
        (400, True),
        (404, True),
        (408, False),
        (425, False),
        (429, False),
        (500, False),
        (503, False),
    ],
)
async def test_answers_of_a_webhook_are_distinguished(
    receiver: HttpReceiver, status: int, permanent: bool
) -> None:
    receiver.statuses = [status]

    assert await failed(webhook(receiver.url)) == (f"the answer was {status}", permanent)
    assert len(receiver.requests) == 1


async def test_a_webhook_that_cannot_be_reached_is_tried_again(hanging_receiver: str) -> None:
    assert await failed(webhook("http://127.0.0.1:1/s3cret")) == (
        "no connection: connection refused",
        False,
    )
    assert await failed(webhook(f"http://{hanging_receiver}/s3cret", 0.05)) == ("no answer in time", False)


async def test_a_mail_has_the_alert(mail_server: MailServer) -> None:
    await by_apprise(mail_server.url("me")).send(7, ALERT)

    (mail,) = mail_server.mails
    assert (mail["Subject"], mail["To"]) == ("café is down", "me@example.org")
    assert mail.get_content().splitlines()[:2] == ["https://café.example/", "Since: 2027-01-15 06:57:50 UTC"]


async def test_refusals_of_a_mail_server_are_distinguished(mail_server: MailServer) -> None:
    assert await failed(by_apprise(mail_server.url("unknown"))) == ("the mail server answered 550", True)
    assert await failed(by_apprise(mail_server.url("busy"))) == ("the mail server answered 451", False)
    assert await failed(
        by_apprise("mailto://127.0.0.1:1/?from=a@b.example&to=c@d.example&mode=insecure")
    ) == (
        "no connection, or it was not accepted",
        False,
    )


@pytest.mark.parametrize(("status", "permanent"), [(400, True), (429, False), (500, False)])
async def test_answers_of_other_services_are_distinguished(
    receiver: HttpReceiver, status: int, permanent: bool
) -> None:
    receiver.statuses = [status]

    assert await failed(by_apprise(f"json://{receiver.host}/")) == (f"the answer was {status}", permanent)


async def test_several_alerts_go_through_one_channel(receiver: HttpReceiver) -> None:
    channel = by_apprise(f"json://{receiver.host}/")

    for event in get_args(Event):
        await channel.send(1, compose(event, [subject(ended_at=NOW)], NOW))

    looks = [json.loads(body)["type"] for _, body in receiver.requests]
    incidents, expiring = ["failure", "success", "warning", "failure", "failure"], ["warning", "warning"]
    assert looks == [*incidents, *expiring, "failure", "success", "info"]


async def test_mails_do_not_wait_for_each_other(mail_server: MailServer) -> None:
    order = Order(mail_server.url("me"), "title", "text", "failure", 9)

    assert await asyncio.to_thread(send, order) == Outcome(None, 0.0)


async def test_a_service_whose_limit_apprise_knows_is_not_sent_more(
    receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = f"{LOAD}; type(apprise.Apprise.instantiate('json://a')).request_rate_per_sec = 1.5; {MAIN}"
    monkeypatch.setattr("monitor.alerts.channels.channel._SEND", (sys.executable, "-c", limited))
    channel = by_apprise(f"json://{receiver.host}/")

    await channel.send(1, ALERT)
    free_at = time.monotonic() + 1.4
    await channel.send(2, ALERT)

    assert len(receiver.requests) == 2
    assert time.monotonic() >= free_at


def alert_processes() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if apprise_process.__name__ in each.cmdline()]


async def test_one_that_hangs_is_ended_at_the_deadline(hanging_receiver: str) -> None:
    channel = by_apprise(f"json://{hanging_receiver}/", 0.05)

    assert await failed(channel) == ("no answer in time", False)
    assert await failed(channel) == ("no answer in time", False)
    assert not alert_processes()


async def test_one_that_is_cancelled_is_ended(hanging_receiver: str) -> None:
    sending = asyncio.create_task(by_apprise(f"json://{hanging_receiver}/").send(7, ALERT))
    await asyncio.to_thread(until, lambda: bool(alert_processes()), "it is sent")

    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending

    assert not alert_processes()


async def test_a_service_that_answers_without_end_gets_no_more_memory(serve: Serve) -> None:
    place = serve(flood(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536)).removeprefix("http://")

    assert await failed(by_apprise(f"json://{place}/")) == ("no connection, or it was not accepted", False)


async def test_a_process_that_cannot_be_started_is_tried_again(receiver: HttpReceiver) -> None:
    with no_file_descriptor():
        found = await failed(by_apprise(f"json://{receiver.host}/"))

    assert found == ("no process: Too many open files", False)


@pytest.mark.parametrize("limit", [resource.RLIMIT_CORE, resource.RLIMIT_CPU, resource.RLIMIT_DATA])
def test_the_process_has_bounds(limit: int) -> None:
    look = f"{BOUND}; bound(9); import resource; print(resource.getrlimit({limit}))"
    printed = subprocess.run([sys.executable, "-c", look], capture_output=True, check=True, text=True).stdout

    bounds = {resource.RLIMIT_CORE: 0, resource.RLIMIT_CPU: PROCESSOR_S, resource.RLIMIT_DATA: MEMORY_BYTES}
    assert printed == f"{(bounds[limit], bounds[limit])}\n"


def test_the_process_ends_by_itself_when_the_program_has_died() -> None:
    look = f"{BOUND}; bound(0.01); import threading; threading.Event().wait()"

    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == -signal.SIGALRM


async def test_no_secret_of_a_url_is_logged(receiver: HttpReceiver) -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    receiver.statuses = [500]

    await failed(by_apprise(f"json://me:s3cret@{receiver.host}/s3cret?+X-Key=s3cret"))
    await failed(by_apprise("json://me:s3cret@127.0.0.1:1/s3cret"))
    await failed(webhook("http://me:s3cret@127.0.0.1:1/s3cret"))

    root.removeHandler(handler)
    root.setLevel(level)
    ours = [line for line in written.getvalue().splitlines() if "POST /s3cret" not in line]
    assert "s3cret" not in "".join(ours)


def test_where_any_code_says_try_again_it_is_tried_again() -> None:
    found = failure_in(["Failed to send: error=400.", "SMTP recipient a@b was refused: 451 b'later'", "x"])

    assert (found.text, found.permanent) == ("the answer was 400, the mail server answered 451", False)
