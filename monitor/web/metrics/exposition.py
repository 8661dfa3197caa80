"""Prometheus' text formats, for the many series of monitors.

prometheus_client needs 5 us for a series: with thousands of monitors that is a second for each scrape.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from monitor.runtime.histogram import Buckets

MetricSample = tuple[str, str, float]
"""A name, labels as `labels` returns them, and a finite value."""


class Family(NamedTuple):
    """What all series of one name have in common; the name of a counter ends in `_total`."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str


def labels(**values: str) -> str:
    """Return labels as both formats write them, without the braces around them."""
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in values.items())


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


class MetricsText:
    """Lines of samples, in the order that the formats require: by family."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families
        self._lines: dict[str, list[str]] = {family.name: [] for family in families}

    def add(self, samples: Iterable[MetricSample], common: str = "") -> None:
        """Add samples; each has the labels `common` before its own."""
        for name, own, value in samples:
            both = f"{common},{own}" if common and own else common or own
            self._lines[name].append(f"{name}{{{both}}} {value}\n" if both else f"{name} {value}\n")

    def add_histogram(self, name: str, buckets: Buckets, common: str) -> None:
        add = self._lines[name].append
        beginning = f'{name}_bucket{{{common},le="'
        for bound, count in buckets.cumulative():
            add(f'{beginning}{bound}"}} {count}\n')
        add(f"{name}_sum{{{common}}} {buckets.total}\n{name}_count{{{common}}} {count}\n")

    def parts(self, *, openmetrics: bool) -> Iterator[bytes]:
        """Return the text, one family at a time, without the last line of OpenMetrics."""
        for name, kind, text in self._families:
            if self._lines[name]:
                title = name.removesuffix("_total") if openmetrics else name
                head = f"# HELP {title} {text}\n# TYPE {title} {kind}\n"
                yield (head + "".join(self._lines[name])).encode()
