"""A topic whose records may vanish: the embedded broker keeps all in memory and frees none of it."""

import asyncio

from aiokafka.errors import KafkaError

from monitor.config.model import Config
from monitor.delivery.kafka.topics import remake_topic

MAX_BATCHES = 10_000
MAX_BYTES = 64_000_000


class VolatileTopic:
    """What was sent to the topic since it was last empty.

    `epoch` changes each time that the records are gone: offsets then start at 0 again, and what is not
    stored has to be sent again. The sender adds to `batches` and `bytes`, and recycles when all is.
    """

    def __init__(self, config: Config, bootstrap: str) -> None:
        self.epoch = 0
        self.batches = 0
        self.bytes = 0
        self._config = config
        self._bootstrap = bootstrap
        self._lock = asyncio.Lock()

    @property
    def exhausted(self) -> bool:
        """Whether the topic has to be recycled before more is sent: each fetch looks at all batches."""
        return self.batches >= MAX_BATCHES or self.bytes >= MAX_BYTES

    async def recycle(self) -> None:
        """Delete the topic and make it again, empty; the new epoch begins when it can be used.

        Repeating it after an error is safe.

        Raises:
            KafkaError: the broker is unavailable.

        """
        async with self._lock:
            await remake_topic(self._config, self._bootstrap)
            self.renewed()

    async def restore(self) -> None:
        """Make the topics after the broker was started again, and begin a new epoch.

        A client that asks for the topic earlier makes it too; two that make it at once have two, of one name.
        So it is deleted first.

        Raises:
            OSError: the broker is unavailable again.

        """
        try:
            async with self._lock:
                await remake_topic(self._config, self._bootstrap)
        except KafkaError as error:
            raise ConnectionError(str(error)) from error
        self.renewed()

    def renewed(self) -> None:
        """Begin a new epoch: the topic is there and empty."""
        self.epoch += 1
        self.batches = 0
        self.bytes = 0
