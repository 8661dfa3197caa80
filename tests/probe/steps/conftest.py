from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from monitor.config.model import Monitor
from monitor.probe.exchange.connector import Network
from monitor.probe.steps.probe import StepsProbe
from monitor.result import CheckResult
from tests.probe.steps.shop import Shop
from tests.sites import Serve, in_time

Walk = Callable[..., Awaitable[CheckResult]]


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def place(shop: Shop, serve: Serve) -> str:
    """The shop's URL, without a slash at its end."""
    return serve(shop.script)


@pytest.fixture
async def walk(serve: Serve) -> AsyncIterator[Walk]:
    """Check these steps once, in this order."""
    del serve  # sites outlive the probe's connections
    async with Network(4) as network:

        async def check_once(*steps: dict[str, Any], **settings: Any) -> CheckResult:
            settings = {"timeout_s": 5.0, **settings}
            monitor = Monitor.model_validate(
                {"name": "site", "url": steps[0]["url"], "steps": list(steps), **settings}
            )
            probe = StepsProbe(monitor, "here", network)
            result = await in_time(probe.check(1000.0), settings["timeout_s"])
            await probe.close()
            return result

        yield check_once
