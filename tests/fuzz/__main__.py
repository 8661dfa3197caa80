"""Feed damaged input for a while; what breaks the program is made small, and ends this with exit code 1."""

import argparse
import asyncio
import itertools
import logging
import random
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Self, TypeVar

import asyncpg
import hypothesis
from hypothesis import strategies as st

from tests.fuzz.answers import LoopbackOnly, answering, answers
from tests.fuzz.messages import batches, messages
from tests.fuzz.requests import asking, requests
from tests.postgres import PostgresServer, migrated

ROUND_S = 30.0
_EXAMPLES = 50
_T = TypeVar("_T")


def options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    return parser.parse_args(argv)


class Runner:
    """Runs coroutines on one event loop; raises what goes wrong beside them as well."""

    def __init__(self) -> None:
        self._surprises: list[Any] = []
        self._runner = asyncio.Runner(loop_factory=LoopbackOnly)

    def __enter__(self) -> Self:
        self._runner.get_loop().set_exception_handler(lambda _, context: self._surprises.append(context))
        threading.excepthook = self._surprises.append
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.close()
        threading.excepthook = threading.__excepthook__

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        returned = self._runner.run(coroutine)
        surprises, self._surprises[:] = [*self._surprises], []
        assert not surprises, surprises
        return returned


def feed(
    runner: Runner,
    strategy: st.SearchStrategy[Any],
    attempt: Callable[[Any], Coroutine[Any, Any, None]],
    until: float,
    seeds: "itertools.count[int]",
) -> None:
    """Try example after example; one that fails is made small, and raised."""

    @hypothesis.settings(
        max_examples=_EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    )
    @hypothesis.given(strategy)
    def one(example: Any) -> None:
        runner.run(attempt(example))

    while time.monotonic() < until:
        hypothesis.seed(next(seeds))(one)()


def fuzz_messages(database: str, until: float, seeds: "itertools.count[int]") -> str:
    with Runner() as runner:
        context = messages(database)
        running = runner.run(context.__aenter__())
        feed(runner, batches, running.ingest_all, until, seeds)
        runner.run(context.__aexit__(None, None, None))
        rows = runner.run(_rows(database))
    assert rows == len(running.rows), f"{rows} rows, not {len(running.rows)}"
    return f"{running.messages} messages: {rows} rows, {running.dead} dead letters"


async def _rows(database: str) -> int:
    connection = await asyncpg.connect(database)
    rows: int = await connection.fetchval("SELECT count(*) FROM health_data")
    await connection.close()
    return rows


def fuzz_answers(database: str, until: float, seeds: "itertools.count[int]") -> str:
    with Runner() as runner:
        context = answering(database)
        running = runner.run(context.__aenter__())
        feed(runner, answers, running.check, until, seeds)
        runner.run(context.__aexit__(None, None, None))
    reasons = ", ".join(f"{count} {reason}" for reason, count in running.reasons.most_common())
    return f"{running.checks} checks of damaged answers: {reasons}"


def fuzz_requests(database: str, until: float, seeds: "itertools.count[int]") -> str:
    with Runner() as runner:
        context = asking(database)
        running = runner.run(context.__aenter__())
        feed(runner, requests, running.send, until, seeds)
        runner.run(context.__aexit__(None, None, None))
    return f"{running.sent} damaged requests: {running.refusals.requests} unreadable"


_PARTS = (fuzz_messages, fuzz_answers, fuzz_requests)


async def _migrate(database: str) -> None:
    await migrated(database)


def main(argv: Sequence[str]) -> int:
    chosen = options(argv)
    print(f"seed {chosen.seed}", flush=True)
    logging.disable()
    seeds = itertools.count(chosen.seed * 1_000_000)
    ends = time.monotonic() + 60 * chosen.minutes
    round_s = min(ROUND_S, 60 * chosen.minutes / len(_PARTS))
    server = PostgresServer()
    try:
        server.start()
        for number in itertools.count():
            if time.monotonic() >= ends:
                return 0
            name = f"fuzz{number}"
            server.sql(f"CREATE DATABASE {name}")
            asyncio.run(_migrate(server.uri(name)))
            part = _PARTS[(chosen.seed + number) % len(_PARTS)]
            print(part(server.uri(name), time.monotonic() + round_s, seeds), flush=True)
            server.sql(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        server.remove()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
