"""All that can be broken, and what is known to be gone with it."""

import asyncio
import random
from dataclasses import dataclass, field

from tests.chaos.clock import Clock
from tests.chaos.cluster import Cluster, Network
from tests.chaos.disk import Disk
from tests.chaos.outages import Outages
from tests.chaos.site import Site
from tests.chaos.starvation import Starvation
from tests.chaos.stored import caught_up, unstored_since
from tests.postgres import PostgresServer
from tests.program import Program

DRAIN_S = 180.0


@dataclass
class World:
    """`kills` are the spans before the program was killed that may be missing.

    `deleted` are the spans of time whose answers Kafka may have acknowledged and deleted again, unread.
    """

    program: Program
    second: Program
    kafka: Cluster
    network: Network
    postgres: PostgresServer
    database: str
    chance: random.Random
    clock: Clock
    starvation: Starvation
    site: Site = field(default_factory=Site)
    outages: Outages = field(init=False)
    disks: dict[str, Disk] = field(default_factory=dict)
    kills: list[tuple[float, float]] = field(default_factory=list)
    deleted: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Of their own chance: faults are the same with and without them.
        self.outages = Outages(self.site, random.Random(self.chance.random()))  # noqa: S311

    @property
    def uri(self) -> str:
        return self.postgres.uri(self.database)

    async def sql(self, statement: str, database: str | None = None) -> str:
        return await asyncio.to_thread(self.postgres.sql, statement, database or self.database)

    async def unstored_since(self) -> float:
        """Return when the first of the answers that are not stored yet was given."""
        return await unstored_since(self.uri, self.site.answered)

    async def caught_up(self) -> float:
        """Wait until the results of all monitors arrive again; give the seconds that it took."""
        return await caught_up(self.uri, self.site.answered, self.program, DRAIN_S)
