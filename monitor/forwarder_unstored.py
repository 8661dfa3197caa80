"""Which results were sent to a topic that may vanish, and are not in the database yet."""

from collections.abc import Iterable
from typing import Protocol
from uuid import UUID

import msgspec

from monitor.outbox_file import OutboxRow

WINDOW_ROWS = 5_000
WINDOW_BYTES = 16 << 20


class Vanishing(Protocol):
    """A topic whose records may vanish; `epoch` changes each time that they have."""

    epoch: int
    records: int
    bytes: int
    drains: int

    @property
    def exhausted(self) -> bool:
        """Whether it has to be recycled before more is sent."""
        ...

    async def recycle(self) -> None:
        """Empty it, and begin a new epoch."""
        ...


class _Identity(msgspec.Struct):
    id: UUID


_decoder = msgspec.json.Decoder(_Identity)


class Unstored:
    """Rows by the identity of their result, as many as the window admits."""

    def __init__(self) -> None:
        self._rows: dict[UUID, OutboxRow] = {}
        self._bytes = 0
        self._drains = 0
        self._oldest: int | None = None

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def room_rows(self) -> int:
        """How many more rows may be sent."""
        return WINDOW_ROWS - len(self._rows) if self._bytes < WINDOW_BYTES else 0

    def add(self, rows: Iterable[OutboxRow]) -> set[int]:
        """Expect these to be stored; return the numbers of those that are no results and never will be."""
        nameless = set()
        for row in rows:
            try:
                result_id = _decoder.decode(row.value).id
            except (msgspec.MsgspecError, UnicodeDecodeError):
                nameless.add(row.seq)
                continue
            if result_id not in self._rows:
                self._bytes += row.size
            self._rows[result_id] = row
        return nameless

    def take(self, ids: Iterable[UUID]) -> list[int]:
        """Return the numbers of the rows with these identities, and expect them no more."""
        rows = [row for row in (self._rows.pop(result_id, None) for result_id in ids) if row]
        self._bytes -= sum(row.size for row in rows)
        return [row.seq for row in rows]

    def are_lost(self, drains: int) -> bool:
        """Tell whether the topic was drained twice, and a row that was sent before was not in it.

        A broker that was killed may acknowledge what it does not have, while it makes the topic anew.
        """
        if drains == self._drains:
            return False
        oldest = min((row.seq for row in self._rows.values()), default=None)
        self._drains, self._oldest, before = drains, oldest, self._oldest
        return oldest is not None and oldest == before

    def clear(self) -> None:
        """Expect nothing: the topic is gone."""
        self._oldest = None
        self._rows.clear()
        self._bytes = 0
