"""Prometheus' text formats, for the many series that monitors have.

prometheus_client writes 5 us a series: with thousands of monitors that is a second of each scrape.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from monitor.buckets import Buckets

Sample = tuple[str, str, float]
"""A name, labels as `labels` writes them, and a value that is finite."""


class Family(NamedTuple):
    """What is said of all series of one name; a counter's name ends in `_total`."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str


def labels(**values: str) -> str:
    """Write labels, without the braces around them."""
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in values.items())


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


class MetricsText:
    """Lines in the order in which the formats want them: by family."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families
        self._lines: dict[str, list[str]] = {family.name: [] for family in families}

    def add(self, samples: Iterable[Sample], common: str = "") -> None:
        """Add samples, each with the labels in common before its own."""
        for name, own, value in samples:
            both = f"{common},{own}" if common and own else common or own
            self._lines[name].append(f"{name}{{{both}}} {value}\n" if both else f"{name} {value}\n")

    def add_histogram(self, name: str, buckets: Buckets, common: str) -> None:
        """Add all series of a histogram."""
        add = self._lines[name].append
        beginning = f'{name}_bucket{{{common},le="'
        for bound, count in buckets.cumulative():
            add(f'{beginning}{bound}"}} {count}\n')
        add(f"{name}_sum{{{common}}} {buckets.total}\n{name}_count{{{common}}} {count}\n")

    def parts(self, *, openmetrics: bool) -> Iterator[bytes]:
        """Write the page, a family at a time; OpenMetrics' end is not part of it."""
        for name, kind, text in self._families:
            if self._lines[name]:
                title = name.removesuffix("_total") if openmetrics else name
                head = f"# HELP {title} {text}\n# TYPE {title} {kind}\n"
                yield (head + "".join(self._lines[name])).encode()
