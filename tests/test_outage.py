import time

import pytest

from monitor.outage import Outage


def test_an_outage_lasts_from_the_first_failed_attempt_to_the_next_that_succeeds() -> None:
    outage = Outage("Kafka")
    outage.begin()
    since_at = outage.since_at
    outage.begin()

    assert since_at == outage.since_at == pytest.approx(time.time(), abs=5)
    assert outage.end()
    assert outage.since_at is None
    assert not outage.end()
