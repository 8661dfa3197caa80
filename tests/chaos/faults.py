"""What can go wrong, each as one coroutine that does it, waits, and mends it."""

from collections.abc import Awaitable, Callable

from tests.chaos import faults_brokers as brokers
from tests.chaos import faults_kafka as kafka
from tests.chaos import faults_postgres as postgres
from tests.chaos import faults_program as program
from tests.chaos.world import World

Fault = Callable[[World], Awaitable[None]]

_ALL = frozenset({"clock", "kafka", "postgres", "program", "second"})

# Each with what it touches: two that touch nothing in common may happen at once.
_TOUCHED: dict[Fault, frozenset[str]] = {
    program.kill_program: frozenset({"program", "clock"}),
    program.stop_program: frozenset({"program", "clock"}),
    # After a restart the program does not know which slots of a clock that was set it has used.
    program.set_clock: frozenset({"program", "clock"}),
    program.second_process: frozenset({"second"}),
    program.freeze_second_process: frozenset({"second"}),
    kafka.kill_kafka: frozenset({"kafka"}),
    kafka.freeze_kafka: frozenset({"kafka"}),
    kafka.start_without_kafka: frozenset({"kafka", "program", "clock"}),
    kafka.cut_connections: frozenset({"kafka"}),
    kafka.black_hole: frozenset({"kafka"}),
    kafka.short_black_hole: frozenset({"kafka"}),
    kafka.lose_replies: frozenset({"kafka"}),
    brokers.restart_kafka: frozenset({"kafka"}),
    brokers.kill_leader: frozenset({"kafka"}),
    brokers.freeze_leader: frozenset({"kafka"}),
    # What they delete must have been stored but for the last instants.
    kafka.remake_topic: _ALL,
    kafka.remake_topic_at_once: _ALL,
    kafka.delete_topic: _ALL,
    kafka.run_out_of_retention: _ALL,
    postgres.kill_postgres: frozenset({"postgres"}),
    postgres.end_transactions: frozenset({"postgres"}),
    postgres.lock_table: frozenset({"postgres"}),
    postgres.lock_table_briefly: frozenset({"postgres"}),
    postgres.make_read_only: frozenset({"postgres"}),
    postgres.take_all_connections: frozenset({"postgres"}),
    # With a full disk results are in memory only, for a killed program to lose.
    kafka.fill_outbox_disk: frozenset({"kafka", "program"}),
    kafka.fill_postgres_disk: frozenset({"postgres"}),
}

FAULTS: dict[str, Fault] = {fault.__name__: fault for fault in _TOUCHED}

NEED_DISKS = {"fill_outbox_disk", "fill_postgres_disk"}
NEED_BROKERS = {"kill_leader", "freeze_leader"}

# One of each kind, none that lasts.
SHORT = (
    "kill_program",
    "set_clock",
    "second_process",
    "kill_kafka",
    "kill_leader",
    "cut_connections",
    "short_black_hole",
    "remake_topic",
    "kill_postgres",
    "end_transactions",
)


def can_mix(one: str, other: str) -> bool:
    """Whether these two touch nothing in common."""
    return not _TOUCHED[FAULTS[one]] & _TOUCHED[FAULTS[other]]
