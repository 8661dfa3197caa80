"""One list of measurements, for `/metrics` and for the page of the pipeline."""

import time

import pytest
from prometheus_client import generate_latest

from monitor.alerts.counts import AlertCounts
from monitor.config.model import Config
from monitor.runtime.histogram import Buckets
from monitor.runtime.process.event_loop import LoopLag
from monitor.web.metrics.program import Measurement, Section, _alerts, _sharing, registry
from tests.web.visitor import shared_with


def lateness(*seconds: float) -> Buckets:
    buckets = Buckets((1.0,))
    for each in seconds:
        buckets.observe(each)
    return buckets


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("rows_total", 12_345, "12,345"),
        ("", 7, "7"),
        ("waiting", None, "-"),
        ("kafka_up", True, "yes"),
        ("kafka_up", False, "no"),
        ("age_seconds", 120.0, "2 min"),
        ("age_seconds", 0.0, "-"),
        ("age_seconds", None, "-"),
        ("lateness_seconds", lateness(0.5, 2.5), "1.5 s"),
        ("lateness_seconds", lateness(), "-"),
        ("saved_timestamp_seconds", 0.0, "-"),
        pytest.param("saved_timestamp_seconds", time.time() - 86_400 * 2, "2 d ago", id="saved_ago"),
    ],
)
def test_the_page_shows_a_value_as_its_name_says(name: str, value: float | Buckets, shown: str) -> None:
    assert Measurement(name, "What it is.", value).shown == shown


@pytest.mark.parametrize(
    ("text", "value", "label"),
    [
        ("Results in the outbox.", 1, "Results in the outbox"),
        ("When it was read, in unixtime.", 1, "When it was read"),
        ("How late checks start.", lateness(), "How late checks start, on average"),
    ],
)
def test_the_page_labels_it_by_the_text_of_the_metric(text: str, value: float | Buckets, label: str) -> None:
    assert Measurement("", text, value).label == label


def test_prometheus_gets_each_kind_of_value_and_nothing_that_is_not_known() -> None:
    sections = [
        Section(
            "Kafka",
            [
                Measurement("kafka_up", "Whether it is.", value=True),
                Measurement("lateness_seconds", "How late.", lateness(0.5, 2.5)),
                Measurement("", "Only for the page.", 1),
            ],
        ),
        *(
            Section(
                f"Alerts to {channel}",
                [
                    Measurement("sent_total", "Sent.", sent, channel),
                    Measurement("waiting", "Waiting.", None, channel),
                ],
            )
            for channel, sent in (("chat", 3), ("mail", 0))
        ),
    ]

    text = generate_latest(registry(LoopLag(), lambda: sections)).decode()

    assert "# HELP kafka_up Whether it is.\n# TYPE kafka_up gauge\nkafka_up 1.0\n" in text
    assert "# TYPE lateness_seconds histogram\n" in text
    assert 'lateness_seconds_bucket{le="1.0"} 1.0\n' in text
    assert "lateness_seconds_sum 3.0\n" in text
    assert "# HELP sent_total Sent.\n# TYPE sent_total counter\n" in text
    assert 'sent_total{channel="chat"} 3.0\nsent_total{channel="mail"} 0.0\n' in text
    assert "# TYPE waiting gauge\n" in text
    assert "\nwaiting" not in text
    assert "Only for the page" not in text
    assert "\nprocess_cpu_seconds_total " in text
    assert "\nwebsite_health_build_info{" in text


def test_metrics_of_alerts_have_their_names_where_there_is_no_channel() -> None:
    sections = list(_alerts(Config(monitors=()), AlertCounts()))

    text = generate_latest(registry(LoopLag(), lambda: sections)).decode()

    assert "# TYPE website_health_alerts_sent_total counter\n" in text
    assert "# TYPE website_health_alerts_waiting gauge\n" in text
    assert "\nwebsite_health_alert" not in text
    assert [section.title for section in sections] == [""]


def test_prometheus_gets_what_is_known_of_shared_checks() -> None:
    section = _sharing(shared_with("there-1"))

    text = generate_latest(registry(LoopLag(), lambda: [section])).decode()

    assert section.title
    assert "\nwebsite_health_members 2.0\n" in text
    assert "\nwebsite_health_shards 32.0\n" in text
    assert "\nwebsite_health_slots_taken_over_total 0.0\n" in text


def test_metrics_of_shared_checks_have_names_where_checks_are_not_shared() -> None:
    section = _sharing(None)

    text = generate_latest(registry(LoopLag(), lambda: [section])).decode()

    assert not section.title
    assert "# TYPE website_health_slots_taken_over_total counter\n" in text
    assert "\nwebsite_health_shards " not in text
