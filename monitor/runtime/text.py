"""Durations, instants, shares and foreign text, as people read them. Pure."""

from datetime import UTC, datetime

MINUTE_S = 60
HOUR_S = 3_600
DAY_S = 86_400

_UNITS = (("d", DAY_S), ("h", HOUR_S), ("min", MINUTE_S), ("s", 1))
_SHORT_S = 0.01  # shorter durations are written with a tenth of a millisecond
_ROUNDING = 1e-6  # of a unit in the last place: 0.29 is 29 %, although its float is less


def duration(seconds: float | None, *, whole: bool = False) -> str:
    """Return a duration in its two largest units: `83 ms`, `1.24 s`, `2 min 5 s`, `3 d 4 h`; a dash for none.

    With `whole`, seconds have no fractions.
    """
    if seconds is None:
        return "-"
    if whole:
        seconds = round(seconds)
    elif 0 < seconds < 1:
        return f"{round(seconds * 1000, 1 if seconds < _SHORT_S else None):g} ms"
    if seconds < MINUTE_S:
        return f"{max(seconds, 0):.3g} s"
    left = round(seconds)
    counts: list[str] = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count or counts:
            counts.append(f"{count} {unit}" if count else "")
    return " ".join(filter(None, counts[:2]))


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 monitor`, `2 monitors`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def instant(at: float) -> str:
    """Return an instant (Unix seconds) in UTC, to the second, without the name of the time zone."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"


def day(at: float) -> str:
    """Return the day of an instant in UTC: `Thu 26 November 2026`."""
    date = datetime.fromtimestamp(at, UTC)
    return f"{date:%a} {date.day} {date:%B %Y}"


def moment(at: float) -> str:
    """Return an instant in UTC to the minute, of a year that is known: `26 Nov, 22:10`."""
    date = datetime.fromtimestamp(at, UTC)
    return f"{date.day} {date:%b, %H:%M}"


def clock(at: float, *, seconds: bool = False) -> str:
    """Return the time of day of an instant in UTC: `22:10`, or with its seconds."""
    return f"{datetime.fromtimestamp(at, UTC):{'%H:%M:%S' if seconds else '%H:%M'}}"


def iso(at: float) -> str:
    """Return an instant (Unix seconds) for programs, by ISO 8601."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def percent(share: float | None, digits: int = 2) -> str:
    """Return a share in percent, rounded down: only all of it is 100 %. A dash for none."""
    if share is None:
        return "-"
    scale = 10**digits
    return "100 %" if share >= 1 else f"{int(share * 100 * scale + _ROUNDING) / scale:.{digits}f} %"


def cut(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters, and an ellipsis where there was more."""
    return text if len(text) <= limit else f"{text[:limit]}…"


def printable(text: str) -> str:
    """Return a text on one line; what a terminal would obey or hide is escaped as Python does it."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def quoted(text: str, limit: int = 200) -> str:
    """Return text of others on one line, without control characters, cut at `limit` characters."""
    line = " ".join(text[: 4 * limit].split())
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in line)[:limit]
