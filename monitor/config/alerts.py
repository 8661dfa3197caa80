"""The part of the configuration about alerts: who gets them, when, and when nobody does."""

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from monitor.config import values
from monitor.config.values import Count, Duration, Many, OneOrMany, Strict

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Webhook(Strict):
    """A URL that each alert is sent to as JSON, signed with the secret."""

    webhook: values.WebAddress
    """http:// or https:// URL."""
    secret: values.Key
    """Key of the signature: X-Signature-256 is "sha256=" and the HMAC-SHA256 of the body in hex digits."""


# Not the name of a key: a place in the document must not be taken for it.
WEBHOOK_TAG = "signed webhook"


def _tag(channel: object) -> str:
    signed = isinstance(channel, Webhook) or (isinstance(channel, dict) and "file" not in channel)
    return WEBHOOK_TAG if signed else "apprise URL"


ChannelSettings = Annotated[
    Annotated[Webhook, Tag(WEBHOOK_TAG)] | Annotated[values.AppriseUrl, Tag("apprise URL")],
    Discriminator(_tag),
]


class MassOutageSettings(Strict):
    """When monitors that go down are one message."""

    share: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Share of the monitors that were up, of all or of a group."""
    at_least: Count = 5
    """Their least number."""
    within_s: Duration = 60.0
    """Seconds within which they go down."""


class Alerts(Strict):
    """Where alerts go."""

    channels: dict[values.Name, ChannelSettings] = {}
    """By name: a URL of apprise (https://appriseit.com/services/), or a signed webhook."""
    mass_outage: MassOutageSettings = MassOutageSettings()
    """When many monitors that go down at once are one message."""
    page_url: values.Url | None = None
    """Where people reach the page; alerts link to it. By default made from `web_host` and `web_port`."""


class Notify(Strict):
    """Who gets the alerts of a monitor, and how often."""

    channels: Annotated[tuple[values.Name, ...], Many, OneOrMany()] | None = None
    """Names of channels; by default all, an empty list for none."""
    degraded: bool = False
    """Whether `failures_to_open` slow checks in a row are an incident, too, with its alerts."""
    remind_every_s: Duration | None = None
    """Seconds between reminders while an incident is open and nobody has acknowledged it."""
    escalate_after_s: Duration | None = None
    """Seconds after which an incident that is open and not acknowledged is sent to `escalate_to`."""
    escalate_to: Annotated[tuple[values.Name, ...], Many, OneOrMany()] = ()
    """Names of channels that get an alert only then, and at the end of the incident."""

    @model_validator(mode="after")
    def _escalates_with_both(self) -> Self:
        if (self.escalate_after_s is None) == bool(self.escalate_to):
            raise ValueError("one of escalate_after_s and escalate_to without the other; must be together")
        return self


class Maintenance(Strict):
    """When checks run but no alerts are sent: once, weekly, or by cron."""

    starts_at: values.IsoInstant | None = None
    """Once: ISO 8601 with an offset, "2026-12-01T02:00:00+01:00"."""
    ends_at: values.IsoInstant | None = None
    weekly: Annotated[tuple[Day, ...], Many, OneOrMany(), values.NotEmpty] | None = None
    """Days of the week: "mon", "tue", "wed", "thu", "fri", "sat", "sun"."""
    at: values.TimeOfDay | None = None
    """Of these days: "02:30"."""
    cron: values.Cron | None = None
    """Five fields: minute, hour, day of the month, month, day of the week."""
    duration_s: Annotated[float, Field(ge=1, le=2_678_400)] | None = None
    """Seconds, for weekly and cron; at most 31 days."""
    time_zone: values.TimeZone = "UTC"
    """Of weekly and cron: a name such as "Europe/Berlin"."""

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        given = self.model_fields_set - {"time_zone"}
        kinds = ({"starts_at", "ends_at"}, {"weekly", "at", "duration_s"}, {"cron", "duration_s"})
        if given not in kinds or any(getattr(self, key) is None for key in given):
            raise ValueError(
                "not a window; must be starts_at and ends_at, or weekly, at and duration_s,"
                " or cron and duration_s"
            )
        if self.starts_at is not None and self.ends_at is not None and self.starts_at >= self.ends_at:
            raise ValueError("ends before it starts; must start before it ends")
        return self


class GroupSettings(Strict):
    """The keys that a group of monitors may have."""

    notify: Notify = Notify()
    """Who gets the alerts; by default every channel."""
    maintenance: Annotated[tuple[Maintenance, ...], Many, OneOrMany()] = ()
    """Windows in which checks run and no alerts are sent; they are left out of uptime."""
    depends_on: Annotated[tuple[values.Name, ...], Many, OneOrMany()] = ()
    """Names of monitors: while one of them is down, this one's alerts are held back."""
