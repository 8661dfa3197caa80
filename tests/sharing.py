"""What decides which checks are made here, without Kafka and PostgreSQL: fakes that tests may exchange."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from monitor.runtime.progress import Availability
from monitor.sharing import Sharing


async def _nothing() -> None:
    pass


async def _nobody() -> Mapping[str, Collection[int]]:
    return {}


async def _no_row(results: Sequence[tuple[str, float, UUID]]) -> Collection[UUID]:  # noqa: ARG001 - of all
    return ()


def fake_sharing(name: str = "here-1", **parts: Any) -> Sharing:
    """Make a process that has no checks yet, with these parts of it."""
    fakes: dict[str, Any] = {
        "location": "here",
        "topic": "website-health.checks",
        "prepare": _nothing,
        "open_consumer": lambda: None,
        "members": _nobody,
        "look": _no_row,
        "kafka": Availability("Kafka"),
    }
    return Sharing(name=name, **{**fakes, **parts})
