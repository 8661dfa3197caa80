"""The two lines that the log has of each result: when it was produced, and when Kafka gave it back.

They are those of the original program. With many monitors nobody could read anything else at info.
"""

import logging
from collections.abc import Iterable

from monitor.config.model import Config
from monitor.runtime.text import cut

MAX_MONITORS = 20
"""With more monitors, results are logged at debug, unless the configuration says otherwise."""
MAX_LENGTH = 1_000  # characters of an encoded result in a line

_log = logging.getLogger(__name__)


class ResultLog:
    """Logs results at info or at debug, as the configuration says; what is not written costs nothing."""

    def __init__(self) -> None:
        self._level = logging.INFO

    def follow(self, config: Config) -> None:
        """Choose the level, and log it if it is another one than before."""
        asked = config.log_results
        is_few = len(config.monitors) <= MAX_MONITORS
        level = logging.INFO if asked is True or (asked == "auto" and is_few) else logging.DEBUG
        if level != self._level:
            self._level = level
            name = logging.getLevelName(level).lower()
            _log.info("results are logged at %s, since %s", name, _reason(config, is_few=is_few))

    def produced(self, value: bytes) -> None:
        """Log a result that a check has just produced, as JSON."""
        if _log.isEnabledFor(self._level):
            beginning = value[: 4 * MAX_LENGTH + 4].decode(errors="ignore")
            _log.log(self._level, "Message produced from URL health monitor: %s", cut(beginning, MAX_LENGTH))

    def fetched(self, values: Iterable[bytes | None]) -> None:
        """Log messages that came from Kafka, as Python shows bytes."""
        if _log.isEnabledFor(self._level):
            for value in values:
                beginning = repr(value and value[: MAX_LENGTH + 1])
                _log.log(self._level, "AIOKafka Consumer fetched: %s", cut(beginning, MAX_LENGTH))


def _reason(config: Config, *, is_few: bool) -> str:
    if config.log_results != "auto":
        return "log_results says so"
    return f"there are {'at most' if is_few else 'more than'} {MAX_MONITORS} monitors"
