"""Messages that cannot be stored, kept in a topic of their own."""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from aiokafka.errors import MessageSizeTooLargeError

from monitor.delivery.kafka.clients import started

_KEY_BYTES = 1_000

_log = logging.getLogger(__name__)


class DeadLetter(NamedTuple):
    """A consumed record, and in one line why it cannot be stored."""

    record: Any
    error: str


SetAside = Callable[[Sequence[DeadLetter]], Awaitable[None]]


async def set_aside(open_producer: Callable[[], Any], topic: str, letters: Sequence[DeadLetter]) -> None:
    """Send the messages, key and value unchanged, and return when Kafka has acknowledged all.

    A message that leaves no room for the headers is sent without its value and with the beginning of its key,
    and the error says so. A call that is repeated after a failure or a cancel sends messages twice. The
    caller bounds the time.

    Raises:
        KafkaError, OSError: Kafka is unavailable.

    """
    async with started(open_producer()) as producer:
        for letter in letters:
            key, value = letter.record.key, letter.record.value
            try:
                await _send(producer, topic, letter, key, value)
            except MessageSizeTooLargeError:
                size = len(key or b"") + len(value or b"")
                smaller = letter._replace(error=f"{letter.error} (its {size} bytes are too many to keep)")
                await _send(producer, topic, smaller, key and key[:_KEY_BYTES], None)


async def _send(
    producer: Any, topic: str, letter: DeadLetter, key: bytes | None, value: bytes | None
) -> None:
    record = letter.record
    headers = {
        "error": letter.error,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "failed_at": f"{time.time():.3f}",
    }
    origin = f"{record.topic}/{record.partition} at {record.offset}"
    _log.warning("%s cannot be stored, it goes to %s: %s", origin, topic, letter.error)
    await producer.send_and_wait(
        topic,
        value,
        key=key,
        headers=[(name, str(text).encode(errors="replace")) for name, text in headers.items()],
    )
