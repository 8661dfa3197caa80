"""What is right by itself in the steps of a monitor, and wrong together."""

from collections.abc import Collection, Iterator

from monitor.config.checks import tls_mistakes
from monitor.config.model import Monitor, WrittenMonitor
from monitor.config.reading.document import JsonPlace, PlacedMistake
from monitor.config.steps.step import Step
from monitor.config.steps.templates import names_in

MAX_VALUES = 20
"""Values that all steps of a monitor save: each is masked in each text that is kept."""

_OF_STEPS = ("method", "body")
_BODIES = ("body", "json", "form")


def step_mistakes(written: WrittenMonitor, monitor: Monitor) -> Iterator[PlacedMistake]:
    """Return the places in a monitor with steps; `monitor` is the same one with its defaults."""
    if not written.steps:
        return
    for key in _OF_STEPS:
        if key in written.model_fields_set:
            yield (key,), "given beside steps; must be in a step"
    names: set[str] = set()
    saved: dict[str, None] = {}
    for at, step in enumerate(written.steps):
        place = ("steps", at)
        if step.name in names:
            yield (*place, "name"), "another step has this name; must be unique"
        names.add(step.name)
        yield from _within(step, place, monitor.timeout_s)
        for where, text in _texts(step):
            yield from _unknown(text, saved, (*place, *where))
        saved |= dict.fromkeys(step.save)
        if len(saved) > MAX_VALUES:
            yield (*place, "save"), f"too many values; all steps must save at most {MAX_VALUES}"
            return


def _within(step: Step, place: JsonPlace, timeout_s: float) -> Iterator[PlacedMistake]:
    bodies = [key for key in _BODIES if key in step.model_fields_set]
    for key in bodies[1:]:
        yield (*place, key), f"given beside {bodies[0]}; must be one of {', '.join(_BODIES)}"
    if step.expect is not None:
        yield from (((*place, key), text) for key, text in tls_mistakes(step.expect))
    if step.timeout_s is not None and step.timeout_s > timeout_s:
        yield (
            (*place, "timeout_s"),
            "more than timeout_s of the monitor, which is for all steps; must be at most it",
        )


def _texts(step: Step) -> Iterator[tuple[JsonPlace, str]]:
    """Return the texts that may have names of values, with their places in the step."""
    yield ("url",), step.url
    for name, value in step.headers.items():
        yield ("headers", name), value.get_secret_value()
    for key, body in (("body", step.body), ("json", step.json)):
        if body is not None:
            yield (key,), body.get_secret_value()
    for name, value in step.form.items():
        yield ("form", name), value.get_secret_value()


def _unknown(text: str, saved: Collection[str], place: JsonPlace) -> Iterator[PlacedMistake]:
    known = f"one of {', '.join(saved)}" if saved else "saved by one"
    for name in dict.fromkeys(names_in(text)):
        if not name:
            yield place, "a {{ that names no value; must be {{NAME}}"
        elif name not in saved:
            yield place, f"no earlier step saves {name}; must be {known}"
