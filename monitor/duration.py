"""Durations as people say them. Pure."""

_MINUTE_S = 60
_HOUR_MIN = 60
_DAY_H = 24


def spoken(seconds: float | None) -> str:
    """Say a duration: `83 ms`, `1.24 s`, `5 min`, `2 h 5 min`, `3 d 4 h`; a dash for none."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{round(seconds * 1000, 1 if seconds < 0.01 else None):g} ms"  # noqa: PLR2004
    if seconds < _MINUTE_S:
        return f"{seconds:.3g} s"
    minutes = round(seconds / _MINUTE_S)
    if minutes < _HOUR_MIN:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, _HOUR_MIN)
    if hours < _DAY_H:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, _DAY_H)
    return f"{days} d {hours} h" if hours else f"{days} d"
