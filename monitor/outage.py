"""Whether a server that this program needs takes what it is given, as the last attempt found it."""

import time


class Availability:
    """Since when one server is unavailable; `name` is what people call it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.unavailable_since_at: float | None = None
        """Unix seconds of the first attempt that failed; none while attempts succeed."""

    def failed(self) -> None:
        """Note that an attempt failed."""
        if self.unavailable_since_at is None:
            self.unavailable_since_at = time.time()

    def succeeded(self) -> bool:
        """Note that an attempt succeeded; return whether the one before had failed."""
        was_unavailable, self.unavailable_since_at = self.unavailable_since_at is not None, None
        return was_unavailable
