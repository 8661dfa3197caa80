"""Fills templates. All that comes from a site, a configuration or a reader is escaped."""

from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from monitor.result import why
from monitor.runtime.text import clock, counted, day, duration, instant, iso, moment, percent
from monitor.web.pages.content.timeline import WORDS, by_day, public_sentence, roughly, sentence
from monitor.web.pages.static import static_url


def environment(*, has_sessions: bool = False) -> Environment:
    """Return the templates; a name in a template that the page does not set is a bug, and raises."""
    made = Environment(
        loader=PackageLoader("monitor.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(has_sessions=has_sessions, static_url=static_url, why=why, words=WORDS)
    made.filters.update(
        by_day=by_day,
        clock=clock,
        counted=counted,
        day=day,
        duration=duration,
        instant=instant,
        iso=iso,
        moment=moment,
        percent=percent,
        public_sentence=public_sentence,
        roughly=roughly,
        sentence=sentence,
        monitor_path=monitor_path,
        channel_test_path=channel_test_path,
    )
    return made


def monitor_path(name: str) -> str:
    """Return the path of a monitor's page."""
    return f"/monitors/{_step(name)}"


def channel_test_path(name: str) -> str:
    """Return the path that a form is sent to in order to test a channel."""
    return f"/channels/{_step(name)}/test"


def _step(name: str) -> str:
    """Return a name as one step of a path. Browsers would resolve `.` and `..`: these are quoted twice."""
    quoted = quote(name, safe="")
    return quoted.replace(".", "%252E") if name in (".", "..") else quoted
