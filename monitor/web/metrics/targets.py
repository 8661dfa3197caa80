"""What `/probe` may be asked for: monitors, and with `modules` also what `probe_targets` allows."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web
from pydantic import SecretStr
from yarl import URL

from monitor.config.addresses import check_url, is_target, port_of
from monitor.config.model import Config, Monitor, MonitorSettings, Target
from monitor.config.public_url import public_url
from monitor.runtime.text import quoted

_DEFAULT_MODULE = "http_2xx"  # blackbox_exporter's
_SCHEME = re.compile(r"https?://", re.IGNORECASE)


class Targets:
    """Finds what to check. Raises HTTP's errors, with a line for who asks."""

    def __init__(self) -> None:
        self._monitors: dict[str, list[Monitor]] = {}
        self._modules: Mapping[str, MonitorSettings] = {}
        self._patterns: Sequence[str] = ()

    def follow(self, config: Config) -> None:
        """Find these monitors, by name or URL, and what the modules may be used for."""
        by_url: defaultdict[str, list[Monitor]] = defaultdict(list)
        by_name = {}
        for monitor in sorted(config.monitors, key=lambda each: len(each.steps)):
            by_name[monitor.name] = [monitor]
            for url in {_same(monitor.url), _same(monitor.public_url)}:
                by_url[url].append(monitor)
        self._monitors = by_url | by_name
        self._modules, self._patterns = config.modules, config.probe_targets

    def asked(self, query: Mapping[str, str]) -> tuple[Monitor, bool]:
        """Return what the parameters ask for, and whether a module says how it is checked.

        Of several monitors that fit, it is the first, if there is one the first without steps.
        """
        target, hostname, module = query.get("target"), query.get("hostname", ""), query.get("module")
        if not target:
            raise web.HTTPBadRequest(text="the parameter target is missing\n")
        found = self._monitors.get(target) or self._monitors.get(_same(target)) or []
        sending = [each for each in found if not hostname or _host(each) == hostname.lower()]
        settings = None if found and not module else self._module(module or _DEFAULT_MODULE)
        if settings is None or (sending and sending[0].steps):
            return _first(found, sending), False
        own = _sent_as(hostname, settings)
        if sending:
            first = sending[0]
            own |= {"name": first.name, "url": first.url, "paused": first.paused or settings.paused}
            return Monitor.with_settings(settings, **own), True
        url = self._allowed(found[0].url if found else _url(target), hostname)
        own |= {"name": quoted(public_url(url)), "url": url, "targets": self._patterns}
        return Target.with_settings(settings, **own), True

    def _module(self, name: str) -> MonitorSettings | None:
        """Return what a module says; `None` where there are no modules."""
        if self._modules and name not in self._modules:
            raise web.HTTPBadRequest(text="there is no module of this name\n")
        return self._modules.get(name)

    def _allowed(self, url: str, hostname: str) -> str:
        """Return a URL if anybody may ask its host for this virtual host."""
        hosts = [_host_of(url), *([_host_of(f"http://{hostname}")] if hostname else [])]
        if not all(is_target(each, self._patterns) for each in hosts):
            raise web.HTTPNotFound(
                text="no monitor has this name or URL, and probe_targets does not have it\n"
            )
        return url


def _first(found: Sequence[Monitor], sending: Sequence[Monitor]) -> Monitor:
    if not found:
        raise web.HTTPNotFound(text="no monitor has this name or URL\n")
    if not sending:  # blackbox_exporter would ask another virtual host of the target
        raise web.HTTPNotFound(text="no monitor of this name or URL sends this hostname as Host\n")
    return sending[0]


def _sent_as(hostname: str, settings: MonitorSettings) -> dict[str, Any]:
    """Return the settings that ask for a virtual host, in TLS too, as blackbox_exporter does."""
    if not hostname:
        return {}
    try:
        port_of(hostname)
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"hostname: {error}\n") from None
    hosts = {value.get_secret_value() for name, value in settings.headers.items() if name.lower() == "host"}
    if hosts - {hostname}:
        raise web.HTTPBadRequest(text="the module sends another Host than hostname\n")
    sent = {name: value for name, value in settings.headers.items() if name.lower() != "host"}
    return {
        "headers": sent | {"Host": SecretStr(hostname)},
        "server_name": settings.server_name or _host_of(f"http://{hostname}"),
    }


def _host(monitor: Monitor) -> str:
    """Return what the first request has as its Host."""
    headers = monitor.headers | (monitor.steps[0].headers if monitor.steps else {})
    given = {name.lower(): value for name, value in headers.items()}.get("host")
    return (given.get_secret_value() if given else URL(monitor.url).host_port_subcomponent or "").lower()


def _host_of(url: str) -> str:
    return URL(url).raw_host or ""


def _with_scheme(target: str) -> str:
    """Return a URL; the default scheme is that of blackbox_exporter."""
    return target if _SCHEME.match(target) else f"http://{target}"


def _url(target: str) -> str:
    url = _with_scheme(target)
    try:
        check_url(url)
    except ValueError:
        raise web.HTTPNotFound(text="no monitor has this name or URL, and it is no URL either\n") from None
    return url


def _same(target: str) -> str:
    """Return one text for all URLs that mean the same."""
    try:
        url = URL(_with_scheme(target))
    except ValueError:
        return target
    return f"{url.scheme}://{url.user}:{url.password}@{url.raw_host}:{url.port}{url.raw_path_qs}"
