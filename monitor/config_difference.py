"""What a new configuration changes."""

from dataclasses import dataclass

from monitor.config import Config, Monitor

LIVE = (
    "monitors",
    "groups",
    "alerts",
    "heartbeat_url",
    "log_level",
    "connectivity_check",
    "status_page",
    "web_port_is_given",
)


@dataclass(frozen=True, slots=True)
class Difference:
    """The way from one configuration to another; a monitor that changed is both removed and added."""

    removed: tuple[str, ...]
    added: tuple[Monitor, ...]
    needs_restart: tuple[str, ...]  # top-level keys that changed and cannot change in a running program


def difference(old: Config, new: Config) -> Difference:
    """Compare two configurations; monitors go by their names."""
    before = {monitor.name: monitor for monitor in old.monitors}
    after = {monitor.name: monitor for monitor in new.monitors}
    return Difference(
        removed=tuple(name for name in before if _changed(before[name], after.get(name))),
        added=tuple(monitor for name, monitor in after.items() if _changed(monitor, before.get(name))),
        needs_restart=tuple(
            key for key in Config.model_fields if key not in LIVE and getattr(old, key) != getattr(new, key)
        ),
    )


def _changed(one: Monitor, other: Monitor | None) -> bool:
    return one != other or one.public_url != other.public_url
