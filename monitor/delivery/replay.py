"""Dead letters through the main topic again, after a mend.

A dead letter is committed, in a consumer group of its own, when the main topic has acknowledged it. So a
replay that is repeated or stopped sends each once, and two at once share them out. One that is killed, or
loses Kafka, sends again at most the `BATCH` letters that it had in hand; the store keeps one row of a result.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from monitor.config.model import Config
from monitor.config.rules import EMBEDDED
from monitor.delivery.kafka.clients import consumer, producer, started
from monitor.delivery.kafka.topics import dead_topic
from monitor.runtime.waiting import StoppedError, one_line, pause

BATCH = 100
_PATIENCE_S = 60.0
_RETRY_S = 2.0
_PASS_S = 20.0
_POLL_S = 0.5
_ABOUT_THE_FAILURE = {"error", "topic", "partition", "offset", "failed_at"}

_Make = Callable[[Config, str], Any]
_log = logging.getLogger(__name__)


class ReplayError(Exception):
    """Some dead letters could not be replayed; the text says why in one line."""


async def replay_dead_letters(
    config: Config,
    stop: asyncio.Event,
    *,
    make_consumer: _Make = consumer,
    make_producer: _Make = producer,
    patience_s: float = _PATIENCE_S,
) -> str:
    """Send what is in `<kafka_topic>.dead` now to `<kafka_topic>`; return a line that says how many.

    Key and value are unchanged. The headers about the failure give way to `replayed_from`, the dead letter's
    topic/partition/offset, so that it is never larger than it was. One without a value is left where it is.
    What comes to the dead letters meanwhile is for the next replay. At `stop`, what is in hand is finished.

    Raises:
        ReplayError: stopped; or nothing went on for `patience_s`; or there is no such topic.

    """
    if config.kafka_bootstrap == EMBEDDED:
        raise ReplayError("nothing to replay: the embedded broker does not keep dead letters over a restart")
    replay = _Replay(config, stop)
    try:
        async with asyncio.timeout(patience_s) as limit:

            def go_on() -> None:
                limit.reschedule(asyncio.get_running_loop().time() + patience_s)

            await replay.insist(make_consumer, make_producer, go_on)
    except TimeoutError:
        raise ReplayError(
            f"{replay.summary}; nothing went on for {patience_s:g} s: {replay.trouble}"
        ) from None
    except StoppedError:
        raise ReplayError(f"{replay.summary}; stopped before the end") from None
    return replay.summary


class _Replay:
    """One replay over the lives of many clients; it goes to the ends that it saw first."""

    def __init__(self, config: Config, stop: asyncio.Event) -> None:
        self.trouble = "another replay has the rest in hand"
        self._config = config
        self._topic = config.kafka_topic
        self._dead_topic = dead_topic(config)
        self._stop = stop
        self._ends: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._sent = self._left = 0

    @property
    def summary(self) -> str:
        """What it did so far, in one line."""
        left = f", left {self._left} that have no value" if self._left else ""
        return f"{self._dead_topic}: replayed {self._sent}{left}"

    async def insist(self, make_consumer: _Make, make_producer: _Make, go_on: Callable[[], None]) -> None:
        """Replay all; wait for a cluster that is unavailable until this is cancelled."""
        servers = self._config.kafka_bootstrap
        group = f"{self._config.kafka_group}.replay"
        reading = self._config.model_copy(update={"kafka_topic": self._dead_topic, "kafka_group": group})
        while True:
            in_hand = asyncio.Lock()
            try:
                source = make_consumer(reading, servers)
                source.subscribe([self._dead_topic], listener=_Finishing(in_hand))
                async with (
                    started(source, self._stop),
                    started(make_producer(self._config, servers), self._stop) as target,
                ):
                    return await self._run(source, target, in_hand, go_on)
            except UnknownTopicOrPartitionError:
                both = f"{self._topic} or {self._dead_topic}"
                raise ReplayError(f"{self.summary}; {servers} has no topic {both}") from None
            except (KafkaError, OSError) as error:
                self.trouble = one_line(error)
                _log.warning("Kafka is unavailable, trying again in %s s: %s", _RETRY_S, self.trouble)
            await pause(self._stop, _RETRY_S)

    async def _run(self, source: Any, target: Any, in_hand: asyncio.Lock, go_on: Callable[[], None]) -> None:
        if not self._ends:
            numbers = source.partitions_for_topic(self._dead_topic)
            partitions = [TopicPartition(self._dead_topic, number) for number in numbers]
            async with asyncio.timeout(_PASS_S):
                self._ends = await source.end_offsets(partitions)
        while True:
            async with asyncio.timeout(_PASS_S):
                if await self._committed_anew(source):
                    go_on()
                if all(self._committed[partition] >= end for partition, end in self._ends.items()):
                    return
                if self._stop.is_set():
                    raise StoppedError
                async with in_hand:
                    await self._pass(source, target)

    async def _committed_anew(self, source: Any) -> bool:
        """Read what the whole group has committed, other processes included; return whether that is more."""
        before = self._committed
        self._committed = {partition: await source.committed(partition) or 0 for partition in self._ends}
        return self._committed != before

    async def _pass(self, source: Any, target: Any) -> None:
        batches = await source.getmany(timeout_ms=int(_POLL_S * 1000), max_records=BATCH)
        letters = [letter for batch in batches.values() for letter in batch if self._is_meant(letter)]
        whole = [letter for letter in letters if letter.value is not None]
        await self._send(target, whole)
        positions = {each: await source.position(each) for each in source.assignment() & self._ends.keys()}
        reached = {each: min(position, self._ends[each]) for each, position in positions.items()}
        ahead = {each: offset for each, offset in reached.items() if offset > self._committed[each]}
        if ahead:
            await source.commit(ahead)
        for letter in letters:
            if letter.value is None:
                _log.warning("%s has no value that could be replayed, it is left there", _origin(letter))
        self._sent += len(whole)
        self._left += len(letters) - len(whole)

    def _is_meant(self, letter: Any) -> bool:
        return bool(letter.offset < self._ends.get(TopicPartition(letter.topic, letter.partition), 0))

    async def _send(self, target: Any, letters: Sequence[Any]) -> None:
        """Return when all are acknowledged."""
        acknowledged = [
            await target.send(self._topic, letter.value, key=letter.key, headers=_headers(letter))
            for letter in letters
        ]
        await asyncio.gather(*acknowledged)


class _Finishing(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Delays a rebalance until what is in hand is committed; then nothing begins before it is over."""

    def __init__(self, in_hand: asyncio.Lock) -> None:
        self._in_hand = in_hand

    async def on_partitions_revoked(self, _revoked: Iterable[TopicPartition]) -> None:
        await self._in_hand.acquire()

    def on_partitions_assigned(self, _assigned: Iterable[TopicPartition]) -> None:
        self._in_hand.release()


def _headers(letter: Any) -> list[tuple[str, bytes]]:
    kept = [(name, value) for name, value in letter.headers if name not in _ABOUT_THE_FAILURE]
    return [*kept, ("replayed_from", _origin(letter).encode())]


def _origin(letter: Any) -> str:
    return f"{letter.topic}/{letter.partition}/{letter.offset}"
