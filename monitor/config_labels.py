"""The names that the labels of the configuration have in metrics."""

import re
from collections.abc import Iterator, Mapping

# Our own labels, of the samples and of every monitor; `le` and `quantile` are Prometheus' own.
TAKEN = frozenset(
    (
        "monitor",
        "group",
        "location",
        "phase",
        "reason",
        "result",
        "version",
        "cipher",
        "fingerprint_sha256",
        "subject",
        "issuer",
        "subjectalternative",
        "serialnumber",
        "le",
        "quantile",
    )
)


def metric_label(name: str) -> str:
    """Return a label's name as Prometheus allows it: letters, digits and _, no digit first."""
    word = re.sub(r"[^a-zA-Z0-9_]", "_", name)
    return f"_{word}" if word[:1].isdigit() else word


class LabelNames:
    """The names that are in use. Two that become one in metrics could not be told apart."""

    def __init__(self) -> None:
        self._used: dict[str, str] = {}

    def mistakes(self, labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Add these names to those in use; return those that cannot be used, and why."""
        for name in labels:
            word = metric_label(name)
            first = self._used.setdefault(word, name)
            if word in TAKEN:
                yield name, f"{word} means something else in metrics; must be another name"
            elif not word or word.startswith("__"):
                yield name, "not the name of a label in metrics; must be a word that does not begin with __"
            elif first != name:
                yield name, f"becomes {word} in metrics, as another label does; must be another name"
