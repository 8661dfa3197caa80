"""A cache that is bounded in bytes."""

from collections import OrderedDict
from typing import Generic, TypeVar

V = TypeVar("V")

_ENTRY_BYTES = 500  # of the interpreter, for each


class ByteCache(Generic[V]):
    """Keeps the values that were used last, as long as they have at most `max_bytes` together."""

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes
        self._kept: OrderedDict[bytes, tuple[V, int]] = OrderedDict()

    def get(self, key: bytes) -> V | None:
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: bytes, value: V, size: int) -> None:
        """Keep a value of so many bytes by a key that is not there yet."""
        size += len(key) + _ENTRY_BYTES
        self._kept[key] = value, size
        self._left -= size
        while self._left < 0:
            _, (_, freed) = self._kept.popitem(last=False)
            self._left += freed
