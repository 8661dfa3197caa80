"""What the page of the pipeline says of the running program."""

import time
from collections.abc import Sequence

from monitor.alert_counts import AlertCounts, Waiting
from monitor.pipeline import Pipeline
from monitor.runtime_text import duration
from monitor.schedule import Schedule

Section = tuple[str, Sequence[tuple[str, str]]]


def facts(running: Pipeline, schedule: Schedule) -> list[Section]:
    """Say where results are on their way, in the order in which they go."""
    forwarder, outbox, counts = running.forwarder, running.outbox, running.counts
    now = time.time()
    oldest_at = forwarder.oldest_unacknowledged_at
    return [
        (
            "Checks",
            [
                ("made", f"{schedule.checks:,}"),
                ("slots skipped", f"{schedule.skipped:,}"),
                ("start after their slot, on average", duration(schedule.lateness_s.mean)),
                ("not made, our own trouble", f"{schedule.own_troubles:,}"),
            ],
        ),
        (
            "Outbox and Kafka",
            [
                ("in the queue", f"{running.queue.qsize():,}"),
                ("in the outbox", f"{outbox.rows:,}"),
                ("bytes in the outbox", f"{outbox.bytes:,}"),
                ("oldest that Kafka has not taken", duration(None if oldest_at is None else now - oldest_at)),
                ("sent", f"{forwarder.sent:,}"),
                ("sending failed", f"{forwarder.retried:,}"),
                ("dropped, the outbox was full", f"{outbox.dropped:,}"),
            ],
        ),
        (
            "PostgreSQL",
            [
                ("wait in Kafka", f"{counts.lag:,}"),
                ("rows stored", f"{counts.stored:,}"),
                ("came twice", f"{counts.duplicates:,}"),
                ("dead letters", f"{counts.dead_letters:,}"),
                ("from check to row, on average", duration(counts.delay_s.mean)),
                ("last stored", f"{duration(now - counts.saved_at)} ago" if counts.saved_at else "-"),
            ],
        ),
        *(_alerts(channel, running.alerts.counts, now) for channel in running.config.alerts.channels),
    ]


def _alerts(channel: str, counts: AlertCounts, now: float) -> Section:
    known = counts.waiting
    waiting = Waiting() if known is None else known.get(channel, Waiting())
    oldest = duration(waiting.age_s(now)) if waiting.number else "-"
    return (
        f"Alerts to {channel}",
        [
            ("wait", "-" if known is None else f"{waiting.number:,}"),
            ("oldest that waits", oldest),
            ("told", f"{counts.sent[channel]:,}"),
            ("attempts that failed", f"{counts.failed_attempts[channel]:,}"),
            ("never told", f"{counts.failed[channel]:,}"),
        ],
    )
