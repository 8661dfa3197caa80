import asyncio
import hashlib
import hmac
import io
import json
import logging
import threading
from types import SimpleNamespace
from typing import get_args

import pytest
from pydantic import SecretStr

from monitor.alerts.channels import AppriseChannel, Channel, NotDeliveredError, WebhookChannel, failure_in
from monitor.alerts.message import Alert, Event, compose
from monitor.config.alerts import Webhook
from monitor.config.apprise import load_apprise
from tests.alerting import NOW
from tests.alerts.test_message import subject
from tests.program import until
from tests.receivers import HttpReceiver, MailServer
from tests.sites import closed_port

ALERT = compose("opened", [subject("café", labels={"team": "ink"}, runbook="https://wiki.example/")], NOW)


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
        "no connection: ClientConnectorError",
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
    alerts, own = ["failure", "success", "warning", "failure", "failure", "warning"], ["failure", "success"]
    assert looks == [*alerts, *own, "info"]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long apprise would have slept between alerts."""
    load_apprise()
    slept: list[float] = []
    monkeypatch.setattr("apprise.url.time", SimpleNamespace(sleep=slept.append))
    return slept


async def test_mails_do_not_wait_for_each_other(mail_server: MailServer, pauses: list[float]) -> None:
    channel = by_apprise(mail_server.url("me"))

    await channel.send(1, ALERT)
    await channel.send(2, ALERT)

    assert len(mail_server.mails) == 2
    assert pauses == []


async def test_a_service_whose_limit_apprise_knows_is_not_sent_more(
    receiver: HttpReceiver, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = load_apprise().Apprise.instantiate("json://localhost")
    monkeypatch.setattr(type(service), "request_rate_per_sec", 3_600)
    channel = by_apprise(f"json://{receiver.host}/")

    await channel.send(1, ALERT)
    await channel.send(2, ALERT)

    assert len(pauses) == 1


async def test_one_that_hangs_is_given_up_and_does_not_gather_threads(hanging_receiver: str) -> None:
    before = threading.active_count()
    channel = by_apprise(f"json://{hanging_receiver}/?rto=2&cto=2", 0.05)

    assert await failed(channel) == ("no answer in time", False)
    assert await failed(channel) == ("an earlier alert still hangs", False)
    assert threading.active_count() <= before + 1
    await asyncio.to_thread(until, lambda: threading.active_count() <= before + 1, "the thread has ended")


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

    assert (str(found), found.permanent) == ("the answer was 400, the mail server answered 451", False)
