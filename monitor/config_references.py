"""Names in the configuration that refer to something else in it."""

from collections.abc import Iterable, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter

from monitor.config import Monitor, WrittenConfig
from monitor.config_alerts import GroupSettings
from monitor.config_document import JsonPlace


def reference_mistakes(
    written: WrittenConfig, monitors: Sequence[Monitor]
) -> Iterator[tuple[JsonPlace, str]]:
    """Return the names of channels, monitors and groups that do not exist, and circles of dependencies.

    `monitors` have their defaults, and are in the order of the file.
    """
    names = {monitor.name for monitor in monitors}
    for settings, place in _settings(written):
        notify = settings.notify
        for key, channels in (("channels", notify.channels or ()), ("escalate_to", notify.escalate_to)):
            for at in _unknown(channels, written.alerts.channels, (*place, "notify", key)):
                yield at, f"no such channel; {_known(written.alerts.channels, 'alerts.channels')}"
        for at in _unknown(settings.depends_on, names, (*place, "depends_on")):
            yield at, "no monitor has this name; must be the name of one"
    groups = {monitor.group for monitor in monitors}
    for group in written.groups:
        if group not in groups:
            yield ("groups", group), "no monitor is of this group; must be the group of one or more"
    yield from _circle(written, monitors)


def _settings(written: WrittenConfig) -> Iterator[tuple[GroupSettings, JsonPlace]]:
    yield written.defaults, ("defaults",)
    for group, settings in written.groups.items():
        yield settings, ("groups", group)
    for at, monitor in enumerate(written.monitors):
        yield monitor, ("monitors", at)


def _unknown(names: Sequence[str], known: Iterable[str], place: JsonPlace) -> Iterator[JsonPlace]:
    for at, name in enumerate(names):
        if name not in known:
            yield place if len(names) == 1 else (*place, at)


def _known(names: Iterable[str], where: str) -> str:
    shown = ", ".join(names)
    return f"must be one of {where}: {shown}" if shown else f"must be one of {where}, which has none"


def _circle(written: WrittenConfig, monitors: Sequence[Monitor]) -> Iterator[tuple[JsonPlace, str]]:
    """Return a monitor that depends on itself, if only by way of others."""
    try:
        TopologicalSorter({monitor.name: monitor.depends_on for monitor in monitors}).prepare()
    except CycleError as error:
        depending = next(monitor for monitor in monitors if monitor.name in error.args[1])
        yield _place(written, depending, monitors), "a monitor depends on itself in the end; must not"


def _place(written: WrittenConfig, depending: Monitor, monitors: Sequence[Monitor]) -> JsonPlace:
    """Return the place of the `depends_on` that the monitor has in the end."""
    at = monitors.index(depending) - len(written.url_to_monitor)
    if at >= 0 and "depends_on" in written.monitors[at].model_fields_set:
        return ("monitors", at, "depends_on")
    group = written.groups.get(depending.group or "")
    if depending.group and group and "depends_on" in group.model_fields_set:
        return ("groups", depending.group, "depends_on")
    return ("defaults", "depends_on")
