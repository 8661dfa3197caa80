"""Alerts about the program itself: that it cannot judge any monitor, and that it can again.

Each process sends its own, straight to each channel: they need neither Kafka nor PostgreSQL. Nothing is
stored, so a process that ends sends no end.
"""

import asyncio
import logging
import math
import os
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from monitor.alerts.channels.channels import GIVE_UP_S, Channels
from monitor.alerts.message import Alert
from monitor.alerts.situation import page_url_of
from monitor.config.model import Config
from monitor.runtime.progress import Availability, Watch
from monitor.runtime.tasks import Tasks
from monitor.runtime.text import duration, instant

_LOOK_S = 1.0

log = logging.getLogger(__name__)


class Trouble(NamedTuple):
    """What keeps this process from judging since an instant; the text is one line without secrets."""

    since_at: float
    text: str


def troubles_of(watch: Watch, servers: Iterable[Availability], now: float) -> list[Trouble]:
    """Return the servers that are unavailable, and the stages that are stalled and do not wait for them.

    Of a server that several stages use, it is the first attempt that failed.
    """
    away: dict[str, Trouble] = {}
    for each in servers:
        if each.unavailable_since_at is not None:
            found = Trouble(each.unavailable_since_at, f"{each.name} is unavailable: {each.why}")
            away[each.name] = min(found, away.get(each.name, found))
    return list(away.values()) + [
        Trouble(now - seconds, f"no progress: {stage} waits for {waits_for}")
        for stage, waits_for, seconds in watch.stalled()
        if waits_for not in away
    ]


async def send_own_trouble(
    troubles: Callable[[], Sequence[Trouble]],
    config: Callable[[], Config],
    channels: Channels,
    *,
    clock: Callable[[], float] = time.time,
    look_s: float = _LOOK_S,
) -> None:
    """Send one alert to each channel when trouble lasts, and one when none is left, until cancelled.

    A channel that does not take an alert gets it again later, for a day, unless the trouble is over by then.
    """
    async with Tasks() as sending:
        own = _OwnTrouble(troubles, config, channels, clock, sending)
        while True:
            own.look()
            await asyncio.sleep(look_s)


@dataclass
class _OwnTrouble:
    troubles: Callable[[], Sequence[Trouble]]
    config: Callable[[], Config]
    channels: Channels
    clock: Callable[[], float]
    sending: Tasks
    lasting: Alert | None = None
    """What channels should know, while there is trouble that has lasted."""
    over: Alert | None = None
    """What those should know that were alerted of it, when it is over."""
    since_at: float = 0.0
    alerted: set[str] = field(default_factory=set)
    tried: dict[str, tuple[int, float]] = field(default_factory=dict)
    """How many attempts each channel got for the newest alert, and when the next one is due."""

    def look(self) -> None:
        """Note what has begun or ended, and start to send what channels do not know yet."""
        config, now = self.config(), self.clock()
        self._judge(config, now)
        for name in self.channels.names:
            alert = self.lasting or self.over
            attempts, due_at = self.tried.get(name, (0, now))
            if alert and (name in self.alerted) != (alert is self.lasting) and now >= due_at:
                self.tried[name] = attempts + 1, math.inf
                sending = self._send(name, alert, attempts + 1)
                self.sending.start(f"the alert of the program to {name}", sending)

    def _judge(self, config: Config, now: float) -> None:
        found = self.troubles()
        if self.lasting is None and any(now - each.since_at >= config.own_trouble_after_s for each in found):
            self.since_at = min(each.since_at for each in found)
            self.lasting = compose_own_trouble(found, config, now)
            self._begin(logging.ERROR, self.lasting)
        elif self.lasting is not None and not found:
            self.lasting, self.over = None, compose_own_trouble_over(self.since_at, config, now)
            self._begin(logging.INFO, self.over)

    def _begin(self, level: int, alert: Alert) -> None:
        self.tried.clear()
        log.log(level, "%s", alert.title)

    async def _send(self, name: str, alert: Alert, attempts: int) -> None:
        refusal = await self.channels.deliver(name, -round(alert.at * 1_000), alert, attempts)
        now = self.clock()
        if refusal is not None:
            self.tried[name] = attempts, now + refusal.retry_after_s
            if now < alert.at + GIVE_UP_S:
                return
            log.error("alert to %s given up, after a day of attempts: %s", name, alert.title)
        (self.alerted.add if alert.event == "own_trouble" else self.alerted.discard)(name)


def compose_own_trouble(troubles: Sequence[Trouble], config: Config, now: float) -> Alert:
    """Return the alert of trouble that has lasted; the earliest comes first."""
    earliest = sorted(troubles)
    lines = [
        *(f"Since {instant(each.since_at)} UTC: {each.text}" for each in earliest),
        "Checks continue, and results are kept. No monitor is judged by this process until it is over.",
        _process(config),
        *_page(config),
    ]
    title = f"{_name(config)} cannot judge since {instant(earliest[0].since_at)} UTC"
    return Alert(event="own_trouble", at=now, title=title, text="\n".join(lines), monitors=())


def compose_own_trouble_over(since_at: float, config: Config, now: float) -> Alert:
    """Return the alert that no trouble is left."""
    span = f"{instant(since_at)} to {instant(now)} UTC, {duration(now - since_at, whole=True)}"
    lines = [
        f"It could not judge from {span}. What was kept is judged now.",
        _process(config),
        *_page(config),
    ]
    title = f"{_name(config)} can judge again"
    return Alert(event="own_trouble_over", at=now, title=title, text="\n".join(lines), monitors=())


def _name(config: Config) -> str:
    return f"The website health monitor in {config.location}"


def _process(config: Config) -> str:
    return f"Sent from: {config.location}, process {os.getpid()} on {socket.gethostname()}"


def _page(config: Config) -> list[str]:
    page_url = page_url_of(config)
    return [f"{page_url.rstrip('/')}/pipeline"] if page_url else []
