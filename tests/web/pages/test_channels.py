"""The buttons that send a test message to a channel."""

import asyncio
import re
from typing import Any

import pytest
from aiohttp import ClientSession

from monitor.alerts.store import AlertStore
from monitor.config.model import Config
from monitor.web.pages.channels import ChannelTests
from monitor.web.server import serving
from tests.receivers import HttpReceiver
from tests.web.visitor import Visitor, configured, nobody_logs_in, site_of


def hook(receiver: HttpReceiver, path: str = "") -> dict[str, Any]:
    return {"webhook": f"{receiver.url}/s3cret{path}", "secret": "hunter2"}


def with_channels(**channels: object) -> Config:
    return configured("shop", alerts={"channels": channels})


async def outcomes(visitor: Visitor) -> list[str]:
    """What the page shows of each channel, without instants."""
    page = (await visitor.get("/pipeline")).text
    shown = re.findall(r'<form method="post" action="/channels/[^>]*><strong>(.*?)</p>', page)
    return [re.sub(r"<[^>]*>", " ", re.sub(r", <time.*?</time>", "", each)) for each in shown]


async def test_a_channel_is_tested_by_a_button_also_while_the_program_starts(
    receiver: HttpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "monitor")
    receiver.statuses = [404]
    async with site_of(with_channels(hook=hook(receiver))) as visitor:
        before = await outcomes(visitor)
        refused = await visitor.send("/channels/hook/test")
        shown = (await visitor.get("/pipeline")).text
        await visitor.send("/channels/hook/test")
        (accepted,) = await outcomes(visitor)

    assert before == ["hook  not tested since the start"]
    assert (refused.status, refused.headers["Location"]) == (303, "/pipeline#channels")
    assert '<span class="problem">not accepted: the answer was 404</span>' in shown
    assert accepted.startswith("hook  accepted after ")
    assert len(receiver.requests) == 2
    assert "test of the channel hook: not accepted: the answer was 404" in caplog.messages
    assert "s3cret" not in shown + caplog.text


async def test_a_channel_of_any_name_has_a_button(receiver: HttpReceiver, alert_store: AlertStore) -> None:
    names = ["..", "a/b", "a b?", "%2F"]
    async with site_of(with_channels(**dict.fromkeys(names, hook(receiver))), alert_store) as visitor:
        page = (await visitor.get("/pipeline")).text
        for path in re.findall(r'action="(/channels/[^"]*)"', page):
            assert (await visitor.send(path)).status == 303
        shown = await outcomes(visitor)

    assert [each.split("  ")[0] for each in shown] == names
    assert all("  accepted after " in each for each in shown)


async def test_a_channel_that_is_not_configured_cannot_be_tested(receiver: HttpReceiver) -> None:
    async with site_of(with_channels(hook=hook(receiver))) as visitor:
        assert (await visitor.send("/channels/mail/test")).status == 404


async def test_a_channel_has_one_test_at_a_time(receiver: HttpReceiver) -> None:
    receiver.hold = asyncio.Event()
    async with site_of(with_channels(hook=hook(receiver), other=hook(receiver))) as visitor:
        first = asyncio.create_task(visitor.send("/channels/hook/test"))
        await receiver.came.wait()
        second = await visitor.send("/channels/hook/test")
        receiver.hold.set()

        assert (second.status, (await first).status) == (409, 303)
        assert (await visitor.send("/channels/hook/test")).status == 303
    assert len(receiver.requests) == 2


async def test_without_channels_the_page_says_where_to_add_one() -> None:
    async with site_of(configured("shop")) as visitor:
        assert "Add one to <code>alerts.channels</code>" in (await visitor.get("/pipeline")).text


async def test_what_became_of_a_test_is_forgotten_when_the_channel_changes(receiver: HttpReceiver) -> None:
    tests = ChannelTests("here")
    before = with_channels(same=hook(receiver), other=hook(receiver))
    tests.follow(before.alerts.channels)
    async with serving(before, nobody_logs_in(before), tests.routes()) as (url,), ClientSession() as client:
        for name in ("same", "other"):
            await client.post(f"{url}channels/{name}/test", allow_redirects=False)
        tested = [trial is not None for _, trial in tests.shown()]

        tests.follow(with_channels(same=hook(receiver), other=hook(receiver, "/new")).alerts.channels)

    assert tested == [True, True]
    assert [(name, trial is not None) for name, trial in tests.shown()] == [("same", True), ("other", False)]


async def test_a_test_of_a_channel_that_changes_meanwhile_is_not_shown(receiver: HttpReceiver) -> None:
    receiver.hold = asyncio.Event()
    tests = ChannelTests("here")
    before = with_channels(hook=hook(receiver))
    tests.follow(before.alerts.channels)
    async with serving(before, nobody_logs_in(before), tests.routes()) as (url,), ClientSession() as client:
        test = asyncio.create_task(client.post(f"{url}channels/hook/test", allow_redirects=False))
        await receiver.came.wait()
        tests.follow(with_channels(hook=hook(receiver, "/new")).alerts.channels)
        receiver.hold.set()

        assert (await test).status == 303
    assert tests.shown() == [("hook", None)]
