"""The processes of one location, and what can be done to them all."""

import asyncio
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.apache_kafka import ApacheKafka
from tests.chaos.cluster import Cluster, Network
from tests.program import Program

LOCATION = "chaos"  # whose rows `tests/chaos/stored.py` reads
_STARTED = " web: "
_JOINED = "checks are shared; "
GROUP = f"website-health-store.checks.{LOCATION}"


@dataclass
class Location:
    """Its processes, each with a way to Kafka of its own.

    `config_of` makes the configuration of the process at this place; `exits_s` is how long stops took, and
    `joins_s` how long after its web server a process had shards of its own.
    """

    programs: Sequence[Program]
    networks: Sequence[Network]
    kafka: Cluster
    chance: random.Random
    config_of: Callable[[int, int], dict[str, Any]]
    version: int = 0
    exits_s: list[float] = field(default_factory=list)
    joins_s: list[float] = field(default_factory=list)
    _busy: set[int] = field(default_factory=set)
    _joins: dict[int, asyncio.Task[None]] = field(default_factory=dict)

    def write(self) -> None:
        """Give all processes the newest configuration, also those that do not run."""
        for place, program in enumerate(self.programs):
            program.write(self.config_of(place, self.version))

    async def start(self, place: int) -> None:
        program = self.programs[place]
        before = tuple(map(program.printed().count, (_STARTED, _JOINED)))
        await asyncio.to_thread(program.start)
        if place in self._joins:  # of its last run, which may have ended before it had shards
            self._joins[place].cancel()
        self._joins[place] = asyncio.create_task(self._until_joined(program, before))

    async def _until_joined(self, program: Program, before: tuple[int, ...]) -> None:
        began = 0.0
        while program.runs:
            started, joined = map(program.printed().count, (_STARTED, _JOINED))
            if not began and started > before[0]:
                began = time.monotonic()
            if joined > before[1]:
                self.joins_s.append(time.monotonic() - began)
                break
            await asyncio.sleep(0.2)

    async def until_joined(self) -> None:
        """Wait until those that were started have shards, as a supervisor waits until they are ready."""
        await asyncio.wait(self._joins.values())

    async def start_all(self) -> None:
        await asyncio.gather(
            *(self.start(place) for place, program in enumerate(self.programs) if not program.runs)
        )

    async def stop(self, place: int) -> None:
        """Stop it as a supervisor does, and wait for its end."""
        self._busy.add(place)
        began = time.monotonic()
        code = await asyncio.to_thread(self.programs[place].stop)
        self.exits_s.append(time.monotonic() - began)
        self._busy.discard(place)
        assert code == 0, f"a stop ended with exit code {code}"

    def signal(self, place: int, number: signal.Signals) -> None:
        self.programs[place].signal(number)

    async def kill(self, place: int) -> None:
        await asyncio.to_thread(self.programs[place].kill)

    @property
    def running(self) -> list[int]:
        """The places of those that run, and are not told to stop."""
        return [
            place for place, program in enumerate(self.programs) if program.runs and place not in self._busy
        ]

    @property
    def dispensable(self) -> list[int]:
        """The places of those that may be stopped: another one runs, and has shards."""
        have_shards = {place for place in self.running if self._joins[place].done()}
        return [place for place in self.running if have_shards - {place}]

    @property
    def stopped(self) -> list[int]:
        return [
            place
            for place, program in enumerate(self.programs)
            if not program.runs and place not in self._busy
        ]

    async def coordinator(self) -> ApacheKafka:
        return await self.kafka.coordinator(GROUP)

    def any_of(self, places: Sequence[int]) -> int:
        return self.chance.choice(places)
