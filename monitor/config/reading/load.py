"""Reads the configuration file, and finds all that is wrong with it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from monitor.config.addresses import MAX_URL_LENGTH
from monitor.config.alerts import GroupSettings
from monitor.config.checks import (
    effective_failures_days,
    effective_protocol,
    label_mistakes,
    monitor_mistakes,
    reference_mistakes,
    retention_mistakes,
    security_mistakes,
    web_mistakes,
)
from monitor.config.model import Config, Monitor, MonitorSettings, Settings, WrittenConfig, WrittenMonitor
from monitor.config.public_url import public_url
from monitor.config.reading.document import JsonPlace, PlacedMistake
from monitor.config.reading.mistakes import line, place_of, sentence
from monitor.config.reading.pieces import Pieces
from monitor.config.rules import MAX_NAME_LENGTH
from monitor.config.steps.mistakes import step_mistakes

MAX_MONITORS = 100_000
MAX_MISTAKES = 100  # that are written out

_MONITORS = frozenset(("monitors", "url_to_monitor"))
# Pydantic would copy the default values for each monitor.
_DEFAULTS = {key: getattr(MonitorSettings(), key) for key in MonitorSettings.model_fields}
_ANY_URL = "https://example.org/"  # of a target of a module
_GIVEN = set(Monitor.model_fields)  # one set for all monitors: each would take 2 KB


_Placed = tuple[WrittenMonitor, JsonPlace, Monitor]
"""A monitor as written, its place in the file, and the monitor with its defaults."""


class ConfigError(Exception):
    """The configuration cannot be used; `mistakes` has one line for each thing that is wrong.

    After `MAX_MISTAKES`, one line has the number of the others. `include` is what the file includes.
    """

    def __init__(self, mistakes: list[str], include: tuple[str, ...] = ()) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes
        self.include = include


class _Mistakes:
    """The places of a document with what is wrong there; `unread` are more that nobody looked at."""

    def __init__(self, found: Iterable[PlacedMistake]) -> None:
        self.found = list(found)
        self.unread = 0

    def note(self, found: Iterable[PlacedMistake]) -> None:
        """Add what was found, except at or below a place that is already known to be wrong."""
        known = {place for place, _ in self.found}
        self.found += [
            (place, text)
            for place, text in dict.fromkeys(found)
            if not any(place[:length] in known for length in range(1, len(place) + 1))
        ]

    def lines(self, pieces: Pieces) -> list[str]:
        """Return the first mistakes, a line each, and one line about the others."""
        lines = [line(*pieces.origin(place), text) for place, text in self.found[:MAX_MISTAKES]]
        return _and_more(lines, len(self.found) + self.unread - len(lines), pieces.path)


def _and_more(lines: list[str], more: int, path: Path) -> list[str]:
    return [*lines, line(path, (), f"and {more} more mistakes")] if more > 0 else lines


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """Return the configuration of the file and those it includes; relative paths are relative to its folder.

    Raises:
        ConfigError: with all mistakes at once.

    """
    pieces = Pieces(path, environ)
    pieces.read()
    if pieces.broken:
        more = len(pieces.broken) - MAX_MISTAKES
        raise ConfigError(_and_more(pieces.broken[:MAX_MISTAKES], more, path), pieces.patterns)
    document = pieces.document
    if sum(len(document[key]) for key in _MONITORS if isinstance(document.get(key), list)) > MAX_MONITORS:
        too_many = line(path, (), f"too many monitors; must be at most {MAX_MONITORS}")
        raise ConfigError([too_many], pieces.patterns)
    mistakes = _Mistakes(pieces.mistakes)
    written = _validate(document, path.absolute().parent, mistakes)
    mistakes.note(_names_in_use_twice(document))
    wrong = {place[0] for place, _ in mistakes.found}
    monitors = [(each, place, _merged(each, written)) for each, place in _monitors(written)]
    mistakes.note(_contradictions(written, monitors, wrong, environ))
    mistakes.note(_dangling(written, monitors, wrong))
    if mistakes.found:
        raise ConfigError(mistakes.lines(pieces), pieces.patterns)
    return _effective(written, monitors)


def _validate(document: dict[str, Any], folder: Path, mistakes: _Mistakes) -> WrittenConfig:
    """Add what is wrong to the mistakes, and return the configuration of the other keys."""
    context = {"folder": folder}
    try:
        return WrittenConfig.model_validate(document, context=context)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
    mistakes.note((place_of(error, document), sentence(error)) for error in errors[:MAX_MISTAKES])
    mistakes.unread = len(errors[MAX_MISTAKES:])
    wrong = {error["loc"][0] for error in errors}
    sound = {key: value for key, value in document.items() if key not in wrong}
    return WrittenConfig.model_validate(sound, context=context)


def _name(name: str | None, url: str) -> str:
    default = public_url(url)
    return name or (default if len(default) <= MAX_NAME_LENGTH else default[: MAX_NAME_LENGTH - 1] + "…")


def _names_in_use_twice(document: dict[str, Any]) -> Iterator[PlacedMistake]:
    """Return the names that are used twice, also by monitors that have other mistakes."""
    urls = document.get("url_to_monitor")
    named: list[tuple[JsonPlace, object, object]] = [(("url_to_monitor",), None, urls)]
    if isinstance(urls, list):
        named = [(("url_to_monitor", at), None, url) for at, url in enumerate(urls)]
    monitors = document.get("monitors")
    for at, monitor in enumerate(monitors if isinstance(monitors, list) else []):
        if isinstance(monitor, dict):
            name = monitor.get("name")
            key = next(
                key for key in ("name", "url", "steps") if monitor.get(key) is not None or key == "steps"
            )
            named.append((("monitors", at, key), name, monitor.get("url", _first_url(monitor.get("steps")))))
    seen = set()
    for place, name, url in named:
        if isinstance(url, str) and len(url) <= MAX_URL_LENGTH and isinstance(name, str | None):
            effective = _name(name, url)
            if effective in seen:
                yield place, "another monitor has this name; must be unique, give it a name of its own"
            seen.add(effective)


def _first_url(steps: object) -> object:
    match steps:
        case [{"url": url}, *_]:
            return url
    return None


def _contradictions(
    written: WrittenConfig, monitors: Sequence[_Placed], wrong: set[str | int], environ: Mapping[str, str]
) -> Iterator[PlacedMistake]:
    """Return what is right by itself and wrong together, unless `wrong` keys may be the cause."""
    is_anything = written.monitors or written.url_to_monitor or written.probe_targets
    if not is_anything and wrong.isdisjoint({*_MONITORS, "probe_targets"}):
        yield (), "nothing to monitor; must have url_to_monitor, monitors or probe_targets with one or more"
    looks = (("kafka_", security_mistakes), ("retention_", retention_mistakes), ("web_", web_mistakes))
    for prefix, look in looks:
        if not any(str(key).startswith(prefix) for key in wrong):
            yield from (((key,), text) for key, text in look(written))
    if wrong.isdisjoint({"monitors", "defaults"}):
        yield from label_mistakes(written)
    if written.probe_targets and not written.modules and wrong.isdisjoint({"probe_targets", "modules"}):
        yield ("probe_targets",), "given without modules; must be together"
    if wrong.isdisjoint({*_MONITORS, "modules", "defaults"}):
        yield from _contradicting_settings([*monitors, *_placed_modules(written)], environ)


def _contradicting_settings(
    placed: Iterable[tuple[MonitorSettings, JsonPlace, Monitor]], environ: Mapping[str, str]
) -> Iterator[PlacedMistake]:
    for settings, place, merged in placed:
        for key, text in monitor_mistakes(merged, settings.model_fields_set, environ):
            yield ((*place, key) if key in settings.model_fields_set else ("defaults", key)), text
        if isinstance(settings, WrittenMonitor):
            yield from (((*place, *at), text) for at, text in step_mistakes(settings, merged))


def _dangling(
    written: WrittenConfig, monitors: Sequence[_Placed], wrong: set[str | int]
) -> Iterator[PlacedMistake]:
    """Return the names that refer to nothing, unless `wrong` keys may be the cause."""
    if wrong.isdisjoint({*_MONITORS, "defaults", "groups", "alerts"}):
        yield from reference_mistakes(written, [merged for _, _, merged in monitors])


def _merged(monitor: WrittenMonitor, written: WrittenConfig) -> Monitor:
    """Return the monitor with its defaults; its own keys win. All values are validated already."""
    group = monitor.group if "group" in monitor.model_fields_set else written.defaults.group
    chosen = _chosen(written, written.groups.get(group or "", GroupSettings()), monitor)
    chosen["url"] = monitor.first_url
    chosen["name"] = _name(monitor.name, monitor.first_url)
    return Monitor.model_construct(_GIVEN, **chosen)


def _chosen(written: WrittenConfig, *own: GroupSettings) -> dict[str, Any]:
    """Return all values of a monitor: those of the last that has one, and `defaults`."""
    chosen: dict[str, Any] = {**_DEFAULTS, "interval_s": written.sleep_duration}
    for settings in (written.defaults, *own):
        chosen.update((key, getattr(settings, key)) for key in settings.model_fields_set)
    return chosen


def _modules(written: WrittenConfig) -> dict[str, MonitorSettings]:
    """Return the modules with their defaults."""
    given = set(MonitorSettings.model_fields)
    return {
        name: MonitorSettings.model_construct(given, **_chosen(written, settings))
        for name, settings in written.modules.items()
    }


def _placed_modules(written: WrittenConfig) -> Iterator[tuple[MonitorSettings, JsonPlace, Monitor]]:
    """Return the modules as written, their places in the file, and a monitor with the settings of each."""
    for name, settings in _modules(written).items():
        merged = Monitor.with_settings(settings, name=name, url=_ANY_URL)
        yield written.modules[name], ("modules", name), merged


def _monitors(written: WrittenConfig) -> Iterator[tuple[WrittenMonitor, JsonPlace]]:
    """Return all monitors with their places in the file."""
    for url in written.url_to_monitor:
        yield WrittenMonitor(url=url), ("url_to_monitor",)
    for at, monitor in enumerate(written.monitors):
        yield monitor, ("monitors", at)


def _effective(written: WrittenConfig, monitors: Sequence[_Placed]) -> Config:
    return Config.model_construct(
        **{key: getattr(written, key) for key in Settings.model_fields if key != "modules"},
        modules=_modules(written),
        kafka_security_protocol=effective_protocol(written),
        retention_failures_days=effective_failures_days(written),
        monitors=tuple(merged for _, _, merged in monitors),
        web_port_is_given="web_port" in written.model_fields_set,
    )
