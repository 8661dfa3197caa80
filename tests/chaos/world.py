"""All that can be broken, and what is known to be gone with it."""

import asyncio
import random
from dataclasses import dataclass, field

from tests.apache_kafka import ApacheKafka
from tests.chaos.disk import Disk
from tests.postgres import PostgresServer
from tests.program import Program
from tests.tcp_proxy import TcpProxy


@dataclass
class World:
    """`kills` are the instants at which the program was killed.

    `deleted` are the spans of time whose answers Kafka may have acknowledged and deleted again, unread.
    """

    program: Program
    second: Program
    kafka: ApacheKafka
    proxy: TcpProxy
    postgres: PostgresServer
    database: str
    chance: random.Random
    disks: dict[str, Disk] = field(default_factory=dict)
    kills: list[float] = field(default_factory=list)
    deleted: list[tuple[float, float]] = field(default_factory=list)

    async def sql(self, statement: str, database: str | None = None) -> str:
        return await asyncio.to_thread(self.postgres.sql, statement, database or self.database)
