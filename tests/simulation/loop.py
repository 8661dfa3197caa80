"""An event loop in virtual time: it runs what is due, and returns."""

import asyncio
from collections.abc import Callable
from typing import Any

from tests.simulation.engine import Engine


class VirtualLoop(asyncio.BaseEventLoop):
    """The event loop of one simulated process; it waits for nothing."""

    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._clock_resolution = 1e-6
        self._selector: Any = self
        self._error: BaseException | None = None
        self.set_exception_handler(self._keep)

    def time(self) -> float:
        return self._engine.now

    def select(self, timeout: float | None) -> list[object]:
        """Stand for a selector: asked to wait, nothing more is due."""
        if timeout is None or timeout > 0:
            self.stop()
        return []

    def _keep(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._error = context.get("exception") or RuntimeError(context["message"])

    def _process_events(self, events: object) -> None:
        pass

    def run(self) -> float | None:
        """Run what is due now; return when something is due next."""
        self.run_forever()
        if self._error:
            raise self._error
        return self._scheduled[0].when() if self._scheduled else None

    def do(self, do: Callable[[], object]) -> float | None:
        """Run this, and what follows from it, as `run` does."""
        self.call_soon(do)
        return self.run()

    def end(self, main: "asyncio.Task[None]") -> None:
        """Cancel what still runs: the main task, then what has not ended with it."""
        main.cancel()
        self.run()
        for task in asyncio.all_tasks(self):
            task.cancel()
        self.run()
        self.run_until_complete(self.shutdown_asyncgens())
        self.close()
