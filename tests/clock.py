"""Time that a test sets."""


class Clock:
    """Returns `now`, until the test sets it."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
