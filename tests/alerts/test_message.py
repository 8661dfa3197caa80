from typing import Any

import msgspec
import pytest

from monitor.alerts.message import Alert, Event, Subject, compose, link
from monitor.alerts.situation import Plan
from monitor.config.model import Config
from tests.alerting import NOW, monitor


def subject(name: str = "shop", **facts: Any) -> Subject:
    given: dict[str, Any] = {
        "monitor": name,
        "url": f"https://{name}.example/",
        "link": link("https://status.example", name),
        "kind": "down",
        "started_at": NOW - 3_730,
        "noticed_at": NOW - 3_600,
        "reason": "status",
        "detail": "status 500, expected 200-399",
        "locations": ("Graz", "Vienna"),
    }
    return Subject(**{**given, **facts})


def written(event: Event, *subjects: Subject, **facts: Any) -> Alert:
    return compose(event, subjects or (subject(),), NOW, **facts)


def test_an_alert_says_what_since_when_why_how_late_from_where_and_where_to_look() -> None:
    alert = written("opened")

    assert alert.title == "shop is down"
    assert alert.text.splitlines() == [
        "https://shop.example/",
        "Since: 2027-01-15 06:57:50 UTC",
        "Why: status 500, expected 200-399",
        "Noticed after: 2 min 10 s",
        "Seen from: Graz, Vienna",
        "https://status.example/monitors/shop",
    ]


def test_an_alert_has_the_labels_and_the_runbook_until_there_is_nothing_more_to_do() -> None:
    known = subject(labels={"team": "ink", "tier": "1"}, runbook="https://wiki.example/shop")
    over = msgspec.structs.replace(known, ended_at=NOW)

    assert written("opened", known).text.splitlines()[4:] == [
        "Seen from: Graz, Vienna",
        "Labels: team=ink, tier=1",
        "Runbook: https://wiki.example/shop",
        "https://status.example/monitors/shop",
    ]
    for event in ("resolved", "past"):
        assert "Labels: team=ink, tier=1" in written(event, over).text
        assert "Runbook" not in written(event, over).text


def test_an_alert_of_many_has_each_runbook_once() -> None:
    runbooks = ("https://wiki.example/a", None, "https://wiki.example/b", "https://wiki.example/a")
    every = [
        subject(f"s{number}", labels={"team": "ink"} if number else {}, runbook=runbook)
        for number, runbook in enumerate(runbooks)
    ]

    lines = written("opened", *every, among="9 monitors").text.splitlines()

    assert lines[0].startswith("- s0, 2027")
    assert lines[1].startswith("- s1 (team=ink), 2027")
    assert lines[4:] == [
        "Seen from: Graz, Vienna",
        "Runbook: https://wiki.example/a",
        "Runbook: https://wiki.example/b",
        "https://status.example/",
    ]


def test_the_end_says_how_long_it_was() -> None:
    assert written("resolved", subject(ended_at=NOW - 130)).text.splitlines() == [
        "https://shop.example/",
        "Down: 2027-01-15 06:57:50 UTC to 2027-01-15 07:57:50 UTC, 1 h",
        "Why: status 500, expected 200-399",
        "Seen from: Graz, Vienna",
        "https://status.example/monitors/shop",
    ]


def test_a_past_outage_is_sent_as_past() -> None:
    alert = written("past", subject(ended_at=NOW - 130, locations=(), link=None))

    assert alert.title == "shop was down"
    assert alert.text.splitlines()[-2:] == [
        "Noticed after: 2 min 10 s",
        "It was over before an alert could be sent.",
    ]


@pytest.mark.parametrize(
    ("kind", "meaning"),
    [
        ("no_data", "Nobody has checked it, or no result arrives: that says nothing about the site."),
        ("partial", "From the other locations it is up."),
        ("degraded", "It is up, but slow."),
        ("flapping", "It goes up and down often: no more alerts about that until it settles."),
    ],
)
def test_other_kinds_than_down_say_what_they_mean(kind: str, meaning: str) -> None:
    assert meaning in written("opened", subject(kind=kind)).text.splitlines()
    assert meaning not in written("resolved", subject(kind=kind, ended_at=NOW)).text.splitlines()


@pytest.mark.parametrize(
    ("kind", "opened", "past", "resolved", "reminder"),
    [
        ("down", "are down", "were down", "are up again", "have been down for 1 h 2 min"),
        (
            "partial",
            "are down from some locations",
            "were down from some locations",
            "are up everywhere again",
            "have been down from some locations for 1 h 2 min",
        ),
        (
            "degraded",
            "are degraded",
            "were degraded",
            "are no longer degraded",
            "have been degraded for 1 h 2 min",
        ),
        (
            "flapping",
            "are flapping",
            "were flapping",
            "have settled",
            "have been flapping for 1 h 2 min",
        ),
    ],
)
def test_the_title_of_many_says_what_they_do(
    kind: str, opened: str, past: str, resolved: str, reminder: str
) -> None:
    both = [subject(name, kind=kind) for name in ("a", "b")]
    events: tuple[Event, ...] = ("opened", "past", "resolved", "reminder")

    titles = [written(event, *both, among="3 monitors").title for event in events]

    assert titles == [f"2 of 3 monitors {does}" for does in (opened, past, resolved, reminder)]


def test_reminders_and_escalations_say_for_how_long() -> None:
    assert written("reminder").title == "shop has been down for 1 h 2 min"
    assert written("escalation").text.splitlines()[-1] == "Nobody has acknowledged it so far."


def test_a_long_list_is_cut_in_the_text_only() -> None:
    many = [subject(f"s{number}", link=None, locations=()) for number in range(60)]

    alert = written("past", *many, among="70 monitors", held_back=[f"h{number}" for number in range(52)])

    lines = alert.text.splitlines()
    assert alert.title == "60 of 70 monitors were down"
    assert lines[50] == "and 10 more"
    assert lines[51].endswith("h48, h49 and 2 more")
    assert len(lines) == 52
    assert len(alert.monitors) == 60


def test_the_end_of_many_says_when_each_was_over() -> None:
    over = [subject(name, ended_at=NOW - 130) for name in ("a", "b")]

    assert written("resolved", *over, among="3 monitors").text.splitlines() == [
        "- a, 2027-01-15 06:57:50 UTC to 2027-01-15 07:57:50 UTC",
        "- b, 2027-01-15 06:57:50 UTC to 2027-01-15 07:57:50 UTC",
        "Seen from: Graz, Vienna",
        "https://status.example/",
    ]


def test_no_secret_of_the_url_is_sent() -> None:
    assert monitor("shop", url="https://user:s3cret@shop.example/?token=s3cret").public_url == (
        "https://shop.example/?token=***"
    )


@pytest.mark.parametrize(
    ("settings", "page"),
    [
        ({}, "http://127.0.0.1:8080/monitors/a%2Fb"),
        ({"web_host": "::1", "web_port": 81}, "http://[::1]:81/monitors/a%2Fb"),
        ({"alerts": {"page_url": "https://status.example/x/"}}, "https://status.example/x/monitors/a%2Fb"),
        ({"web_port": None}, None),
        ({"web_port": 0}, None),
    ],
)
def test_the_link_leads_to_the_page(settings: dict[str, Any], page: str | None) -> None:
    config = Config.model_validate({"monitors": (), **settings})

    assert link(Plan(config).page_url, "a/b") == page


def test_an_alert_without_a_reason_says_so() -> None:
    assert "Why: no reason is known" in written("opened", subject(reason=None, detail=None)).text
