"""A button for each channel, which sends a test message, and what became of the last one."""

import logging
from collections.abc import Mapping
from urllib.parse import unquote

from aiohttp import web
from pydantic import SecretStr

from monitor.alerts.channels.channels import Channels
from monitor.alerts.channels.trial import Trial, try_channels
from monitor.config.alerts import Webhook
from monitor.web.api.operations.problems import ProblemError

_log = logging.getLogger(__name__)


class ChannelTests:
    """Tries channels, each one at a time; it needs neither Kafka nor PostgreSQL."""

    def __init__(self, location: str) -> None:
        self._location = location
        self._channels: Mapping[str, SecretStr | Webhook] = {}
        self._sending = Channels(lambda: self._channels)
        self._trials: dict[str, Trial] = {}
        self._under_way: set[str] = set()

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/channels/{name:.+}/test", self._test)]

    def follow(self, channels: Mapping[str, SecretStr | Webhook]) -> None:
        """Use these channels; what became of tests of others, or of changed ones, is forgotten."""
        same = {name for name, settings in channels.items() if self._channels.get(name) == settings}
        self._trials = {name: trial for name, trial in self._trials.items() if name in same}
        self._channels = channels

    def shown(self) -> list[tuple[str, Trial | None]]:
        """Return each channel with what became of its last test."""
        return [(name, self._trials.get(name)) for name in self._channels]

    async def _test(self, request: web.Request) -> web.Response:
        asked = request.match_info["name"]
        name = asked if asked in self._channels else unquote(asked)
        settings = self._channels.get(name)
        if settings is None:
            raise ProblemError(404, "no channel has this name")
        if name in self._under_way:
            raise ProblemError(409, "its last test has not ended", title="This channel is being tested")
        self._under_way.add(name)
        try:
            (trial,) = await try_channels(self._sending, [name], self._location)
        finally:
            self._under_way.discard(name)
        _log.info("test of the channel %s", trial)
        if self._channels.get(name) == settings:
            self._trials[name] = trial
        raise web.HTTPSeeOther("/pipeline#channels")
