"""What every channel does, and what can go wrong with it."""

from typing import Protocol

from monitor.alert_message import Alert

DEADLINE_S = 60.0
_TEMPORARY = frozenset({408, 425, 429})


class NotDeliveredError(Exception):
    """The channel did not take the alert; its text is one line without secrets."""

    def __init__(self, text: str, *, permanent: bool) -> None:
        super().__init__(text)
        self.permanent = permanent
        """Whether trying again would end in the same way."""


class Channel(Protocol):
    """Takes alerts to people or programs, one at a time."""

    async def send(self, delivery_id: int, alert: Alert) -> None:
        """Deliver it within a minute or raise `NotDeliveredError`; `delivery_id` tells repetitions."""


def is_permanent(http_status: int) -> bool:
    """Tell whether an answer that is no success will be the same next time."""
    return http_status < 500 and http_status not in _TEMPORARY  # noqa: PLR2004 - the server's own trouble
