"""What the configuration allows as instants, times of day, time zones and cron expressions.

Each mistake is a `ValueError` of the form `what is wrong; what is allowed`. None shows a value.
"""

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from monitor.config_rules import kind

_TIME_OF_DAY = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")
_CRON_FIELDS = 5


def check_instant(value: object) -> datetime:
    """Allow ISO 8601 with an offset from UTC."""
    allowed = 'must be like "2026-12-01T02:00:00+01:00"'
    if not isinstance(value, str):
        raise ValueError(f"is {kind(value)}; {allowed}")  # noqa: TRY004 - pydantic takes no TypeError
    try:
        instant = datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"not an instant; {allowed}") from error
    if instant.tzinfo is None:
        raise ValueError(f"no offset from UTC; {allowed}")
    return instant


def check_time_of_day(text: str) -> str:
    """Allow hours and minutes."""
    if not _TIME_OF_DAY.fullmatch(text):
        raise ValueError('not a time of day; must be like "02:30"')
    return text


def check_time_zone(name: str) -> str:
    """Allow the names of IANA's time zones."""
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:
        raise ValueError('not a time zone; must be a name such as "Europe/Berlin"') from error
    return name


def check_cron(expression: str) -> str:
    """Allow cron's five fields."""
    try:
        CronSim(expression, datetime(2000, 1, 1))  # noqa: DTZ001 - any instant will do
        if len(expression.split()) == _CRON_FIELDS:
            return expression
    except CronSimError:
        pass
    raise ValueError('not a cron expression; must be five fields such as "30 2 * * sun"')
