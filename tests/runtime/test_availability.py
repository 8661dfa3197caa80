import time

import pytest

from monitor.runtime.progress import Availability


def test_an_outage_lasts_from_the_first_failed_attempt_to_the_next_that_succeeds() -> None:
    availability = Availability("Kafka")
    availability.failed()
    since_at = availability.unavailable_since_at
    availability.failed()

    assert since_at == availability.unavailable_since_at == pytest.approx(time.time(), abs=5)
    assert availability.succeeded()
    assert availability.unavailable_since_at is None
    assert not availability.succeeded()
