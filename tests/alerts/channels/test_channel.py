"""Each kind of channel, with real receivers."""

import asyncio
import hashlib
import hmac
import io
import json
import logging
import socket
import threading
import time
from typing import get_args

import pytest
from pydantic import SecretStr

from monitor.alerts.channels.apprise import MAX_ANSWER_BYTES, AppriseChannel, failure_in
from monitor.alerts.channels.channel import Channel, NotDeliveredError, WebhookChannel
from monitor.alerts.channels.channels import Channels, Refusal
from monitor.alerts.message import Alert, Event, compose
from monitor.config.alerts import Webhook
from monitor.config.apprise import load_apprise
from tests.alerting import NOW
from tests.alerts.test_message import subject
from tests.program import until
from tests.receivers import HttpReceiver, MailServer
from tests.sites import Script, Serve, closed_port, flood, ok, read_request

ALERT = compose("opened", [subject("café", labels={"team": "ink"}, runbook="https://wiki.example/")], NOW)
NO_CODE = "no connection, or it was not accepted"


async def failed(channel: Channel, alert: Alert = ALERT) -> str:
    with pytest.raises(NotDeliveredError) as error:
        await channel.send(7, alert)
    return str(error.value)


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


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_an_answer_of_a_webhook_that_is_no_success_is_named(
    receiver: HttpReceiver, status: int
) -> None:
    receiver.statuses = [status]

    assert await failed(webhook(receiver.url)) == f"the answer was {status}"
    assert len(receiver.requests) == 1


async def test_a_webhook_that_cannot_be_reached_has_not_taken_it(hanging_receiver: str) -> None:
    assert await failed(webhook("http://127.0.0.1:1/s3cret")) == "no connection: connection refused"
    assert await failed(webhook(f"http://{hanging_receiver}/s3cret", 0.05)) == "no answer in time"


async def test_a_mail_has_the_alert(mail_server: MailServer) -> None:
    await by_apprise(mail_server.url("me")).send(7, ALERT)

    (mail,) = mail_server.mails
    assert (mail["Subject"], mail["To"]) == ("café is down", "me@example.org")
    assert mail.get_content().splitlines()[:2] == ["https://café.example/", "Since: 2027-01-15 06:57:50 UTC"]


async def test_refusals_of_a_mail_server_are_named(mail_server: MailServer) -> None:
    assert await failed(by_apprise(mail_server.url("unknown"))) == "the mail server answered 550"
    assert await failed(by_apprise(MAIL.format("127.0.0.1:1"))) == NO_CODE


async def test_a_failure_of_another_service_is_named_and_the_next_alert_sent(receiver: HttpReceiver) -> None:
    receiver.statuses = [429]
    channel = by_apprise(f"json://{receiver.host}/")

    assert await failed(channel) == "the answer was 429"
    await channel.send(8, ALERT)


async def test_several_alerts_go_through_one_channel(receiver: HttpReceiver) -> None:
    channel = by_apprise(f"json://{receiver.host}/")

    for event in get_args(Event):
        await channel.send(1, compose(event, [subject(ended_at=NOW)], NOW))

    looks = [json.loads(body)["type"] for _, body in receiver.requests]
    incidents, expiring = ["failure", "success", "warning", "failure", "failure"], ["warning", "warning"]
    assert looks == [*incidents, *expiring, "failure", "success", "info"]


async def test_mails_do_not_wait_for_each_other(mail_server: MailServer) -> None:
    channel = by_apprise(mail_server.url("me"), 3)

    for number in range(2):
        await channel.send(number, ALERT)

    assert len(mail_server.mails) == 2


async def test_a_service_whose_limit_apprise_knows_is_not_sent_more(
    receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"json://{receiver.host}/"
    monkeypatch.setattr(type(load_apprise().Apprise.instantiate(url)), "request_rate_per_sec", 1.5)
    channel = by_apprise(url)

    began = time.monotonic()
    await channel.send(1, ALERT)
    await channel.send(2, ALERT)

    assert len(receiver.requests) == 2
    assert time.monotonic() >= began + 1.5


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "an alert by apprise"]


async def test_while_a_thread_hangs_beyond_the_deadline_no_other_is_started(receiver: HttpReceiver) -> None:
    receiver.hold = asyncio.Event()
    channel = by_apprise(f"json://{receiver.host}/?rto=60", 0.3)

    for _ in range(3):
        assert await failed(channel) == "no answer in time"
    assert (len(receiver.requests), [each.daemon for each in threads()]) == (1, [True])

    receiver.hold.set()
    await channel.send(7, ALERT)
    assert len(receiver.requests) == 2


async def test_one_that_is_cancelled_is_not_waited_for(receiver: HttpReceiver) -> None:
    receiver.hold = asyncio.Event()
    sending = asyncio.create_task(by_apprise(f"json://{receiver.host}/?rto=60").send(7, ALERT))
    await receiver.came.wait()

    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending

    receiver.hold.set()
    await asyncio.to_thread(until, lambda: not threads(), "the thread ends")


HEAD = b"HTTP/1.1 200 OK\r\n"
JSON = "json://{}/"
MAIL = "mailto://{}/?from=a@b.example&to=c@d.example&mode=insecure"


def greet_without_end(connection: socket.socket, test_ended: threading.Event) -> None:
    while not test_ended.is_set():
        connection.sendall(b"220-hello\r\n" * 1_000)


@pytest.mark.parametrize(
    ("url", "script"),
    [
        (JSON, flood(HEAD + b"\r\n", b"x" * 65_536)),
        (JSON, flood(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 1_000)),
        (JSON, flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000)),
        (MAIL, greet_without_end),
    ],
)
async def test_an_answer_without_end_is_not_read_to_its_end(url: str, script: Script, serve: Serve) -> None:
    place = serve(script).removeprefix("http://").rstrip("/")

    assert await failed(by_apprise(url.format(place))) == NO_CODE


async def test_an_answer_that_comes_slowly_ends_at_the_deadline(serve: Serve) -> None:
    place = serve(flood(HEAD + b"\r\n", b"x", 0.05)).removeprefix("http://")

    assert await failed(by_apprise(f"json://{place}/", 0.3)) in {"no answer in time", NO_CODE}
    await asyncio.to_thread(until, lambda: not threads(), "the thread ends")


async def test_a_long_answer_is_read_and_never_decompressed(serve: Serve) -> None:
    body = b"x" * (MAX_ANSWER_BYTES // 2)  # no decoder takes it
    page = ok(body).replace(b"\r\n", b"\r\nContent-Encoding: gzip\r\n", 1)

    def script(connection: socket.socket, test_ended: threading.Event) -> None:
        read_request(connection)
        connection.sendall(page)
        test_ended.wait()

    await by_apprise(f"json://{serve(script).removeprefix('http://')}/").send(7, ALERT)


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


def test_a_failure_is_named_by_all_codes() -> None:
    found = failure_in(["Failed to send: error=400.", "SMTP recipient a@b was refused: 451 b'later'", "x"])

    assert found == "the answer was 400, the mail server answered 451"


def channels_of(**settings: SecretStr | Webhook) -> tuple[dict[str, SecretStr | Webhook], Channels]:
    return settings, Channels(lambda: settings, lambda attempts: 10.0 * attempts)


def hook(url: str) -> Webhook:
    return Webhook(webhook=SecretStr(url), secret=SecretStr("s3cret"))


async def test_a_channel_gets_one_alert_at_a_time_and_no_other_waits_for_it(receiver: HttpReceiver) -> None:
    receiver.hold = asyncio.Event()
    _, channels = channels_of(slow=hook(f"{receiver.url}/slow"), other=hook("http://127.0.0.1:1/"))

    waiting = [asyncio.create_task(channels.deliver("slow", number, ALERT, 1)) for number in range(3)]
    await receiver.came.wait()

    assert await channels.deliver("other", 1, ALERT, 3) == Refusal("no connection: connection refused", 30.0)
    assert len(receiver.requests) == 1
    receiver.hold.set()
    assert await asyncio.gather(*waiting) == [None] * 3
    assert [json.loads(body)["id"] for _, body in receiver.requests] == [0, 1, 2]


async def test_other_settings_of_a_channel_are_used(receiver: HttpReceiver) -> None:
    settings, channels = channels_of(hook=hook("http://127.0.0.1:1/"))
    assert await channels.deliver("hook", 1, ALERT, 1)

    settings["hook"] = hook(receiver.url)
    assert await channels.deliver("hook", 1, ALERT, 2) is None
    del settings["hook"]
    assert channels.names == []
    assert await channels.deliver("hook", 2, ALERT, 1) == Refusal("the channel is no longer configured", 10.0)
