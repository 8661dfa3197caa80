"""A process of a location in virtual time: the program's own schedule and sharing, a clock, and troubles."""

import asyncio
import math
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from unittest.mock import patch
from uuid import UUID

from monitor.config.model import Monitor
from monitor.result import CheckResult, Message, result_id
from monitor.runtime.progress import Availability
from monitor.schedule import Schedule
from monitor.sharing import Sharing
from tests.simulation.account import Account, Watched
from tests.simulation.coordinator import Group
from tests.simulation.engine import Do, Engine
from tests.simulation.loop import VirtualLoop
from tests.simulation.member import TOPIC, Member, Wire, sticky

LOCATION = "here"
CHECK_S = 0.1
STORED_S = 1.0  # from a result to its row
LOOK_S = 0.01


class Clocks:
    """Stands for the module `time`, in the process that runs."""

    def __init__(self) -> None:
        self.running: Simulated | None = None

    def time(self) -> float:
        return self.running.clock if self.running else time.time()

    def monotonic(self) -> float:
        return self.running.now if self.running else time.monotonic()


CLOCKS = Clocks()


def virtual_time() -> AbstractContextManager[object]:
    """Return a context in which the schedule and the sharing have the clocks of the process that runs."""
    stack = ExitStack()
    for module in ("monitor.schedule", "monitor.sharing"):
        stack.enter_context(patch(f"{module}.time", CLOCKS))
    return stack


class Site:
    """The checks of one monitor."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self.began_at = 0.0

    async def check(self, scheduled_at: float) -> CheckResult:
        self.began_at = CLOCKS.time()
        await asyncio.sleep(CHECK_S)
        return CheckResult(
            timestamp=scheduled_at,
            response_data="",
            response_status=200,
            response_time=CHECK_S,
            id=result_id(LOCATION, self.watched.name, scheduled_at),
            monitor=self.watched.name,
            location=LOCATION,
            url="http://site.example/",
            scheduled_at=scheduled_at,
            up=True,
        )

    async def close(self) -> None:
        pass


class Simulated:
    """One process, from its start to its end."""

    def __init__(
        self,
        name: str,
        engine: Engine,
        group: Group,
        account: Account,
        watched: Sequence[Watched],
        *,
        ahead_s: float = 0.0,
    ) -> None:
        self.name = name
        self.ahead_s = ahead_s
        """Of its clock, before the true time."""
        self.has_ended = False
        self.is_stopping = False
        self.wire = Wire(group, lambda: engine.chance.uniform(0.001, 0.05), self._send)
        self._engine = engine
        self._account = account
        self._loop = VirtualLoop(engine)
        self._wakes_at = math.inf
        self._paused_until = 0.0
        self._watched = {each.name: each for each in watched}
        self._sites = {each.name: Site(each) for each in watched}
        self._member: Member | None = None
        self._assignor = sticky()
        self._stop = asyncio.Event()
        self._do(self._begin)

    @property
    def now(self) -> float:
        return self._engine.now

    @property
    def clock(self) -> float:
        return self._engine.now + self.ahead_s

    def _begin(self) -> None:
        sharing = Sharing(
            name=self.name,
            location=LOCATION,
            topic=TOPIC,
            prepare=self.wire.ask,
            open_consumer=self._open_consumer,
            members=self._members,
            look=self._look,
            kafka=Availability("Kafka"),
        )
        checkers = [
            (
                Monitor(name=each.name, url="http://site.example/", interval_s=each.interval_s),
                self._sites[each.name],
            )
            for each in self._watched.values()
        ]
        self._main = self._loop.create_task(_run(sharing, self._schedule(sharing), checkers, self._stop))
        self._main.add_done_callback(self._end)

    def _schedule(self, sharing: Sharing) -> Schedule:
        queue: asyncio.Queue[Message | None] = asyncio.Queue()
        return Schedule(
            queue, max_concurrent_checks=500, max_checks_per_host=500, on_result=[self._note], shared=sharing
        )

    def _note(self, result: CheckResult) -> None:
        site = self._sites[result.monitor]
        took = site.began_at, self.clock
        self._account.ran(site.watched, result.scheduled_at, self.name, took, self.now + STORED_S)

    def _end(self, main: "asyncio.Task[None]") -> None:
        if not main.cancelled():
            main.result()
        self.has_ended = True

    # What it asks of Kafka and of PostgreSQL.

    def _open_consumer(self) -> Member:
        self._member = Member(self.wire, self._assignor, self._joined)
        return self._member

    def _joined(self) -> None:
        self._account.members({*self.wire.group.members}, self.now)

    async def _members(self) -> Mapping[str, Collection[int]]:
        await self.wire.ask()
        return dict.fromkeys(self.wire.group.members, ())

    async def _look(self, results: Sequence[tuple[str, float, UUID]]) -> Collection[UUID]:
        await asyncio.sleep(LOOK_S)
        return {
            id_ for name, slot, id_ in results if self._account.is_stored(self._watched[name], slot, self.now)
        }

    # What befalls it.

    def stop(self) -> None:
        self.is_stopping = True
        self._do(self._stop.set)

    def kill(self) -> None:
        self.has_ended = True
        self._account.killed(self._member.member if self._member else "", self.now)

    def pause(self, for_s: float) -> None:
        """Run nothing for so long."""
        self._paused_until = self.now + for_s

    def _send(self, delay_s: float, arrive: Do) -> None:
        """Let something arrive at the coordinator, or its answer here."""

        def arrived() -> None:
            arrive()
            self._run()

        self._engine.after(delay_s, arrived)

    def _do(self, do: Do) -> None:
        self._loop.call_soon(do)
        self._run()

    def _run(self) -> None:
        if self.has_ended:
            return
        if self.now < self._paused_until:
            self._wake_at(self._paused_until)
            return
        CLOCKS.running = self
        next_at = self._loop.run()
        CLOCKS.running = None
        if next_at is not None:
            self._wake_at(next_at)

    def _wake_at(self, at: float) -> None:
        if not self.now < self._wakes_at <= at:
            self._wakes_at = at
            self._engine.at(at, self._run)

    def close(self) -> None:
        """End what is left of it."""
        self._main.remove_done_callback(self._end)
        self._loop.end(self._main)


async def _run(
    sharing: Sharing, schedule: Schedule, checkers: Sequence[tuple[Monitor, Site]], stop: asyncio.Event
) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sharing.run())
        async with schedule:
            schedule.add(checkers)
            await stop.wait()
            await sharing.leave()
