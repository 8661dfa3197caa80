"""Whether another program takes what it is given, as the last attempt found it."""

import time


class Outage:
    """The time for which one other program has been away; `name` is how people call it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.since_at: float | None = None
        """Unix seconds of the first attempt that failed; none while it takes what it is given."""

    def begin(self) -> None:
        """Note that an attempt failed."""
        if self.since_at is None:
            self.since_at = time.time()

    def end(self) -> bool:
        """Note that an attempt succeeded; returns whether that is news."""
        was_away, self.since_at = self.since_at is not None, None
        return was_away
