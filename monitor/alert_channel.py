"""What every channel does, and how it can fail."""

from typing import Protocol

from monitor.alert_message import Alert

DEADLINE_S = 60.0
_TEMPORARY = frozenset({408, 425, 429})


class NotDeliveredError(Exception):
    """The channel did not take the alert; the text is one line without secrets."""

    def __init__(self, text: str, *, permanent: bool) -> None:
        super().__init__(text)
        self.permanent = permanent
        """Whether another attempt would end in the same way."""


class Channel(Protocol):
    """Sends alerts to people or programs, one at a time."""

    async def send(self, delivery_id: int, alert: Alert) -> None:
        """Send it within a minute or raise `NotDeliveredError`; a repetition has the same `delivery_id`."""


def is_permanent(http_status: int) -> bool:
    """Return whether another attempt would get the same answer, given one that is no success."""
    return http_status < 500 and http_status not in _TEMPORARY  # noqa: PLR2004 - the server's own trouble
