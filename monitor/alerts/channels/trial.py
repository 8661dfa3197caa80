"""A test message to channels, and what became of it.

It goes straight to the channels: it needs neither Kafka nor PostgreSQL, and nothing is stored.
"""

import asyncio
import time
from collections.abc import Iterable
from typing import NamedTuple

from monitor.alerts.channels.channel import NotDeliveredError
from monitor.alerts.channels.channels import Channels
from monitor.alerts.message import compose_test
from monitor.runtime.text import duration


class Trial(NamedTuple):
    """What became of a test message to one channel."""

    channel: str
    at: float
    """When it was sent (Unix seconds)."""
    took_s: float
    error: str | None
    """Why it was not accepted, in one line without secrets; `None` where it was."""

    @property
    def outcome(self) -> str:
        """What became of it, in words."""
        return (
            f"accepted after {duration(self.took_s)}" if self.error is None else f"not accepted: {self.error}"
        )

    def __str__(self) -> str:
        """Return the channel and the outcome in one line."""
        return f"{self.channel}: {self.outcome}"


async def try_channels(channels: Channels, names: Iterable[str], location: str) -> list[Trial]:
    """Send a test message to each of these channels, all at once; return what became of them in their order.

    Each has a minute for it.
    """
    async with asyncio.TaskGroup() as trying:
        tasks = [trying.create_task(_try_channel(channels, name, location)) for name in names]
    return [task.result() for task in tasks]


async def _try_channel(channels: Channels, name: str, location: str) -> Trial:
    now, began = time.time(), time.monotonic()
    error = None
    try:
        await channels.send(name, -round(now * 1_000), compose_test(name, location, now))
    except NotDeliveredError as refused:
        error = str(refused)
    return Trial(name, now, time.monotonic() - began, error)
