"""What a step asks, as a monitor that has only this request. Pure.

The credentials of the monitor, and its headers except User-Agent and Accept…, are for the origin of its first
step. What is written in a step is for the origin of the step.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr
from yarl import URL

from monitor.config.model import Monitor
from monitor.config.steps.bodies import form_text, in_json
from monitor.config.steps.step import Step
from monitor.config.steps.templates import beginning, filled, filled_url, names_in
from monitor.probe.exchange.request import MAX_LOCATION, is_harmless

_CREDENTIALS = ("basic_auth", "bearer_token", "client_cert", "client_key")


class StepRequest:
    """The request of one step, in which values are filled in for each check."""

    def __init__(self, monitor: Monitor, step: Step) -> None:
        self._step = step
        start = beginning(step.url)
        self._origin = URL(start).origin()
        settings = {"url": start, **settings_of(monitor, step), **_at(monitor, start)}
        settings["headers"] |= _content_type(step)
        self.monitor = monitor.model_copy(update=settings)
        """What is the same in each check."""
        texts = (step.url, *(value.get_secret_value() for value in _secrets(step)))
        self.names = frozenset(name for text in texts for name in names_in(text))
        """The names of the values that it needs."""

    def filled(self, values: Mapping[str, str], within_s: float) -> Monitor:
        """Return what is to be asked, with a response within so many seconds.

        Raises:
            ValueError: with these values, the URL is too long or leads to another origin.

        """
        step = self._step
        url = filled_url(step.url, values)
        if len(url) > MAX_LOCATION:
            raise ValueError("too long")
        if URL(url).origin() != self._origin:
            raise ValueError("another origin")
        own = {
            name: SecretStr(filled(value.get_secret_value(), values)) for name, value in step.headers.items()
        }
        changes: dict[str, Any] = {
            "url": url,
            "headers": self.monitor.headers | own,
            "body": _body(step, values),
        }
        if step.timeout_s is None or within_s < step.timeout_s:
            changes["timeout_s"] = within_s
        return self.monitor.model_copy(update=changes)


def settings_of(monitor: Monitor, step: Step) -> dict[str, Any]:
    """Return the settings of the step, which are those of the monitor where it has none."""
    return {
        "steps": (),
        "method": step.asked_method,
        "follow_redirects": monitor.follow_redirects
        if step.follow_redirects is None
        else step.follow_redirects,
        "timeout_s": step.timeout_s or monitor.timeout_s,
        "expect": step.expect or monitor.expect,
        "degraded_after_s": None,
    }


def _at(monitor: Monitor, url: str) -> dict[str, Any]:
    """Return the settings that depend on where the step goes."""
    first, place = URL(monitor.url), URL(url)
    settings: dict[str, Any] = {"headers": dict(monitor.headers)}
    if place.origin() != first.origin():
        settings |= dict.fromkeys(_CREDENTIALS)
        kept = {name: value for name, value in monitor.headers.items() if is_harmless(name.lower())}
        settings["headers"] = kept
    if place.host != first.host:
        settings["server_name"] = None
    return settings


def _content_type(step: Step) -> dict[str, SecretStr]:
    if step.json is not None:
        return {"Content-Type": SecretStr("application/json")}
    return {"Content-Type": SecretStr("application/x-www-form-urlencoded")} if step.form else {}


def _secrets(step: Step) -> list[SecretStr]:
    bodies = [body for body in (step.body, step.json) if body is not None]
    return [*step.headers.values(), *bodies, *step.form.values()]


def _body(step: Step, values: Mapping[str, str]) -> SecretStr | None:
    if step.json is not None:
        return SecretStr(filled(step.json.get_secret_value(), values, in_json))
    if step.form:
        return SecretStr(form_text(step.form, values))
    return None if step.body is None else SecretStr(filled(step.body.get_secret_value(), values))
