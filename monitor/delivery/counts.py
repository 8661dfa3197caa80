"""What the ingest has stored and set aside, and what Kafka still has for it."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from aiokafka.errors import KafkaError

from monitor.result import CheckResult
from monitor.runtime.histogram import Buckets

_DELAY_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
_POSITION_S = 0.05


class IngestCounts:
    """Counts since the start of the program."""

    def __init__(self) -> None:
        self.stored = 0
        self.duplicates = 0
        self.dead_letters = 0
        self.saved_at = 0.0
        self.lag = 0
        """Records that were in Kafka at the last fetch and are not fetched yet."""
        self.delay_s = Buckets(_DELAY_BOUNDS)
        self.consumer: Any = None

    def saved(self, results: Sequence[CheckResult], new: int) -> None:
        """Count saved results; delays only where all were new, as it is not known which ones are."""
        self.saved_at = time.time()
        self.stored += new
        self.duplicates += len(results) - new
        if new == len(results):
            for result in results:
                self.delay_s.observe(max(0.0, self.saved_at - result.timestamp - result.response_time))

    async def look(self) -> None:
        """Bring `lag` up to date, without a request to Kafka."""
        assigned = self.consumer.assignment() if self.consumer else ()
        self.lag = sum([await self._behind(partition) for partition in assigned])

    async def _behind(self, partition: Any) -> int:
        try:
            async with asyncio.timeout(_POSITION_S):
                position: int = await self.consumer.position(partition)
        except (KafkaError, TimeoutError):
            return 0
        return max(0, (self.consumer.highwater(partition) or 0) - position)
