"""Counts what the ingest stores and sets aside; `ingest` itself counts nothing."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from aiokafka.errors import KafkaError

from monitor.delivery.dead_letters import DeadLetter, SetAside
from monitor.result import CheckResult
from monitor.runtime.histogram import Buckets

_DELAY_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
_POSITION_S = 0.05


class _Saver(Protocol):
    async def save(self, results: Sequence[CheckResult], /) -> int: ...


class IngestCounts:
    """Wraps what `ingest` is given; `save` goes in front of the store's."""

    def __init__(self, store: _Saver) -> None:
        self.stored = 0
        self.duplicates = 0
        self.dead_letters = 0
        self.saved_at = 0.0
        self.lag = 0
        """Records that were in Kafka at the last fetch and are not fetched yet."""
        self.delay_s = Buckets(_DELAY_BOUNDS)
        self._store = store
        self._consumer: Any = None

    async def save(self, results: Sequence[CheckResult], /) -> int:
        """Save and count; delays only where all were new, as it is not known which ones are."""
        new = await self._store.save(results)
        self.saved_at = time.time()
        self.stored += new
        self.duplicates += len(results) - new
        if new == len(results):
            for result in results:
                self.delay_s.observe(max(0.0, self.saved_at - result.timestamp - result.response_time))
        return new

    def counting(self, set_aside: SetAside) -> SetAside:
        """Return `set_aside` with counting."""

        async def counted(letters: Sequence[DeadLetter]) -> None:
            await set_aside(letters)
            self.dead_letters += len(letters)

        return counted

    def watching(self, open_consumer: Callable[[], Any]) -> Callable[[], Any]:
        """Return `open_consumer` so that `look` can ask its last consumer."""

        def opened() -> Any:
            self._consumer = open_consumer()
            return self._consumer

        return opened

    async def look(self) -> None:
        """Bring `lag` up to date, without a request to Kafka."""
        self.lag = sum([await self._behind(partition) for partition in self._assigned()])

    def _assigned(self) -> Iterable[Any]:
        return self._consumer.assignment() if self._consumer else ()

    async def _behind(self, partition: Any) -> int:
        try:
            async with asyncio.timeout(_POSITION_S):
                position: int = await self._consumer.position(partition)
        except (KafkaError, TimeoutError):
            return 0
        return max(0, (self._consumer.highwater(partition) or 0) - position)
