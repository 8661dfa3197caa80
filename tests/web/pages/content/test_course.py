"""The course of one incident."""

from typing import Any

import pytest

from monitor.alerts.store import Acknowledgement, IncidentUpdate
from monitor.web.pages.content.course import Event, course_of
from monitor.web.queries import Incident, IncidentChange

KNOWN: dict[str, Any] = {"reason": "status", "detail": "status 503", "locations": ["here"]}


def incident(kind: Any = "down", ended_at: float | None = None) -> Incident:
    return Incident(1, "shop", kind, 1_000, 1_130, ended_at, past=False, **KNOWN)


def change(what: Any, at: float, kind: Any = "down", **changes: Any) -> IncidentChange:
    facts = {"noticed_at": at + 10, "quiet": False, **KNOWN, **changes}
    return IncidentChange(1, 1, kind, what, at, **facts)


def shown(events: list[Event]) -> list[str]:
    return [" | ".join(filter(None, (each.mark, each.what, each.why, each.note))) for each in events]


def test_the_newest_comes_first_with_what_people_did() -> None:
    changes = [
        change("opened", 1_120),
        change("changed", 1_300, detail="no answer", noticed_at=1_371),
        change("resolved", 1_500),
    ]
    acknowledged = Acknowledgement(1_200, "Ada", "a full disk")
    updates = [
        IncidentUpdate(1, 1_250, "Bob", "We look into it."),
        IncidentUpdate(2, 1_600, "Bob", "It works."),
    ]

    course = course_of(incident(ended_at=1_500), changes, acknowledged, updates)

    assert shown(course) == [
        "update | Bob told customers | It works.",
        "up | Up again",
        "down | Still down | no answer | seen from here, noticed 1 min later",
        "update | Bob told customers | We look into it.",
        "acknowledged | Acknowledged by Ada | a full disk",
        "down | Down | status 503 | seen from here",
        "down | First failed check",
    ]
    assert not any(each.is_current for each in course)


def test_what_goes_on_is_current_whatever_people_wrote_since() -> None:
    updates = [IncidentUpdate(1, 1_600, "Bob", "We look into it.")]

    course = course_of(incident(), [change("opened", 1_120), change("changed", 1_300)], None, updates)

    assert [each.what for each in course if each.is_current] == ["Still down"]


def test_of_two_at_once_the_later_one_is_on_top() -> None:
    course = course_of(
        incident(ended_at=1_120), [change("opened", 1_120), change("resolved", 1_120)], None, []
    )

    assert [each.what for each in course] == ["Up again", "Down", "First failed check"]


@pytest.mark.parametrize(
    ("kind", "first", "opened", "resolved"),
    [
        ("partial", "First failed check", "Down from some locations", "Up everywhere again"),
        ("degraded", "First slow check", "Degraded", "No longer degraded"),
        ("no_data", "Last result", "No data", "Data again"),
        ("flapping", "First change", "Flapping", "Settled"),
    ],
)
def test_each_kind_has_words_of_its_own(kind: str, first: str, opened: str, resolved: str) -> None:
    changes = [change("opened", 1_120, kind), change("resolved", 1_500, kind)]

    course = course_of(incident(kind, 1_500), changes, None, [])

    assert [each.what for each in course] == [resolved, opened, first]


def test_what_was_certain_at_once_has_no_other_beginning() -> None:
    assert len(course_of(incident(), [change("opened", 1_000)], None, [])) == 1
    assert course_of(incident(), [], None, []) == []


def test_nobody_knows_how_a_monitor_is_that_is_no_longer_checked() -> None:
    ends = change("resolved", 1_500, detail="no longer checked")

    (over, *_) = course_of(incident(ended_at=1_500), [change("opened", 1_000), ends], None, [])

    assert shown([over]) == ["unknown | Over | no longer checked"]


@pytest.mark.parametrize(
    ("kind", "what"),
    [("partial", "Over"), ("degraded", "Over"), ("down", "Up again"), ("flapping", "Settled")],
)
def test_an_end_without_an_alert_is_not_said_to_be_good_where_worse_may_have_begun(
    kind: str, what: str
) -> None:
    (over,) = course_of(incident(ended_at=1_500), [change("resolved", 1_500, kind, quiet=True)], None, [])[:1]

    assert (over.what, over.why, over.note) == (what, "", "no alert")
