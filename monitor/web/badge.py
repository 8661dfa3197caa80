"""Badges: small pictures of one fact about a monitor, for other websites. Pure."""

from typing import Literal

from markupsafe import Markup

from monitor.runtime.text import duration, percent

Colour = Literal["green", "yellow", "red", "grey"]

_COLOURS: dict[Colour, str] = {"green": "#1e8e4e", "yellow": "#8a6200", "red": "#c62f2f", "grey": "#5f6975"}
_STATUS: dict[str, Colour] = {"up": "green", "degraded": "yellow", "down": "red"}
_GOOD_UPTIME, _FAIR_UPTIME = 0.999, 0.99
_CHARACTER, _PADDING = 6.7, 12  # in pixels, for Verdana of 11 px, the font of most badges

_BADGE = Markup(
    '<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" role="img"'
    ' aria-label="{label}: {text}"><title>{label}: {text}</title>'
    '<rect width="{whole}" height="20" rx="3" fill="#454d57"/>'
    '<path d="M{left} 0h{cut}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{cut}z" fill="{colour}"/>'
    '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
    '<text x="{label_x}" y="14">{label}</text><text x="{text_x}" y="14">{text}</text></g></svg>'
)


def status_badge(status: str) -> Markup:
    """Return the badge of a monitor's status."""
    return _badge("status", status, _STATUS.get(status, "grey"))


def uptime_badge(share: float | None, days: int) -> Markup:
    """Return the badge of the uptime of the last days; a dash where nothing is known."""
    if share is None:
        return _badge(f"uptime {days} d", "-", "grey")
    colour: Colour = "green" if share >= _GOOD_UPTIME else "yellow" if share >= _FAIR_UPTIME else "red"
    return _badge(f"uptime {days} d", percent(share), colour)


def response_time_badge(seconds: float | None) -> Markup:
    """Return the badge of the median response time of the last day; a dash where nothing is known."""
    return _badge("response time", duration(seconds), "grey" if seconds is None else "green")


def _badge(label: str, text: str, colour: Colour) -> Markup:
    left, right = (round(_CHARACTER * len(each) + _PADDING) for each in (label, text))
    return _BADGE.format(
        whole=left + right,
        left=left,
        cut=right - 3,
        colour=_COLOURS[colour],
        label=label,
        text=text,
        label_x=left / 2,
        text_x=left + right / 2,
    )
