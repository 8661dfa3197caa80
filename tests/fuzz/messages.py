"""Messages of every kind, through the ingest into PostgreSQL: each becomes one row or one dead letter."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from hypothesis import strategies as st

from monitor.result import CheckResult, Evidence, InvalidMessageError, Phases, StepResult, Tls, decode, encode
from monitor.storage.results import ResultStore, stored
from tests.fuzz.damage import damage, texts, values
from tests.postgres import result_store
from tests.stream import Stream

_LIMIT_S = 60.0
# What is drawn depends on nothing else; when it is sent, its result gets an identity of its own.
_NOBODY = UUID(int=1)
_ORIGINAL = ("timestamp", "response_data", "response_status", "response_time")


class Sent(NamedTuple):
    """A message, and whether it must become a row."""

    value: bytes | None
    good: bool


def good_result(body: str) -> CheckResult:
    """Make one that must become a row."""
    return CheckResult(
        timestamp=1_790_000_000.5,
        response_data=body,
        response_status=200,
        response_time=0.25,
        id=_NOBODY,
        monitor="shop",
        url="https://example.org/",
        location="here",
        scheduled_at=1_790_000_000.0,
        up=False,
        reason="status",
        detail="status 500",
        phases=Phases(resolve=0.1, connect=0.2, tls=0.3),
        ip="192.0.2.1",
        certificate_expires_at=1_800_000_000.0,
        tls=Tls("TLS 1.3", "TLS_AES_256_GCM_SHA384", "00", "CN=a", "CN=b", "a, b", "1", 1_800_000_000.0),
        evidence=Evidence({"Server": "x"}, body[:9]),
        steps=(StepResult("log in", 500, 0.25, Phases(connect=0.2), "status"),),
    )


def _named(value: bytes | None) -> bytes | None:
    return value and value.replace(str(_NOBODY).encode(), str(uuid4()).encode())


@st.composite
def _altered(draw: st.DrawFn) -> bytes:
    """Put odd values into a good message's fields, at any depth, leave some out, and give some twice."""
    fields: dict[str, Any] = msgspec.to_builtins(good_result("fine"))
    if draw(st.booleans()):
        fields = {name: fields[name] for name in _ORIGINAL}
    for name in draw(st.lists(st.sampled_from([*fields, "more"]), max_size=3)):
        within = fields.get(name)
        if isinstance(within, dict) and within and draw(st.booleans()):
            within[draw(st.sampled_from([*within]))] = draw(values)
        else:
            fields[name] = draw(values)
    for name in draw(st.lists(st.sampled_from([*fields]), max_size=1)):
        del fields[name]
    written = json.dumps(fields, ensure_ascii=draw(st.booleans()))
    if draw(st.integers(0, 5)) == 0:
        twice = json.dumps({draw(st.sampled_from([*fields, "x"])): draw(values)})
        written = f"{written[:-1]}, {twice[1:]}"
    return written.encode(errors="surrogatepass")


def _good(body: str) -> Sent:
    text = body.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    return Sent(encode(good_result(text)).value, good=True)


def _deep(brackets: tuple[str, str], depth: int, closed: bool) -> bytes:
    opening, closing = brackets
    inner = opening * depth + ("1" + closing * depth + "}" if closed else "")
    return encode(good_result("")).value[:-1] + f', "deep": {inner}'.encode()


def _damaged(source: random.Random) -> bytes:
    return damage(encode(good_result("fine")).value, source)


_bad = st.one_of(
    _altered(),
    _altered(),
    st.builds(_damaged, st.randoms(use_true_random=False)),
    st.binary(max_size=60),
    values.map(lambda value: json.dumps(value).encode(errors="surrogatepass")),
    st.builds(
        _deep,
        st.sampled_from([("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")]),
        st.sampled_from([10, 900, 1_100, 100_000]),
        st.booleans(),
    ),
    st.none(),
)

batches = st.lists(
    st.one_of(texts.map(_good), _bad.map(lambda value: Sent(value, good=False))), min_size=1, max_size=12
)


class Messages:
    """One broker, one ingest, one database; `ingest_all` is what is asked of them."""

    def __init__(self, stream: Stream, store: ResultStore, stage: "asyncio.Task[None]") -> None:
        self.messages = 0
        self.dead = 0
        self.rows: set[tuple[str, float, UUID]] = set()
        self._stream = stream
        self._store = store
        self._stage = stage
        self._producer: Any = None
        self._offsets: Any = None
        self._dead_letters: Any = None

    async def ingest_all(self, batch: list[Sent]) -> None:
        """Send them, wait until all are committed, and hold what has become of each to what must be."""
        batch = [sent._replace(value=_named(sent.value)) for sent in batch]
        first = self.messages
        keys = [str(first + place).encode() for place in range(len(batch))]
        for key, sent in zip(keys, batch, strict=True):
            await self._producer.send_and_wait(self._stream.topic, sent.value, key=key)
        self.messages += len(batch)
        await self._committed()
        dead = await self._set_aside()
        self.dead += len(dead)
        assert sorted(set(dead)) == sorted(dead), f"set aside twice: {dead}"
        results = [self._expected(sent, key in dead) for key, sent in zip(keys, batch, strict=True)]
        expected = [result for result in results if result]
        ids = {result.id for result in expected}
        rows = await stored(self._store.database, expected)
        self.rows.update((result.monitor, result.scheduled_at, result.id) for result in expected)
        assert rows == ids, f"neither a row nor a dead letter: {ids - rows}"

    def _expected(self, sent: Sent, is_dead: bool) -> CheckResult | None:
        """Return the result that must have a row."""
        assert not (sent.good and is_dead), f"set aside though it is good: {sent.value!r}"
        if is_dead:
            return None
        try:
            return decode(sent.value or b"")
        except InvalidMessageError as error:
            raise AssertionError(f"no result, and not set aside: {sent.value!r}") from error

    async def _committed(self) -> None:
        partitions = [TopicPartition(self._stream.topic, number) for number in range(4)]
        async with asyncio.timeout(_LIMIT_S):
            while True:
                if self._stage.done():
                    self._stage.result()
                    raise AssertionError("the ingest has ended")
                done = [await self._offsets.committed(partition) or 0 for partition in partitions]
                if sum(done) >= self.messages:
                    assert sum(done) == self.messages
                    return
                await asyncio.sleep(0.002)

    async def _set_aside(self) -> list[bytes]:
        partition = TopicPartition(f"{self._stream.topic}.dead", 0)
        end = (await self._dead_letters.end_offsets([partition]))[partition]
        keys: list[bytes] = []
        while await self._dead_letters.position(partition) < end:
            batches = await self._dead_letters.getmany(timeout_ms=1_000)
            keys += [record.key for records in batches.values() for record in records]
        return keys

    @asynccontextmanager
    async def clients(self) -> AsyncIterator["Messages"]:
        """Open what sends and looks."""
        self._producer = self._stream.producer()
        self._offsets = AIOKafkaConsumer(
            bootstrap_servers=self._stream.address, group_id=self._stream.group, enable_auto_commit=False
        )
        self._dead_letters = AIOKafkaConsumer(
            bootstrap_servers=self._stream.address, auto_offset_reset="earliest", fetch_max_wait_ms=20
        )
        self._dead_letters.assign([TopicPartition(f"{self._stream.topic}.dead", 0)])
        async with self._producer, self._offsets, self._dead_letters:
            yield self


@asynccontextmanager
async def messages(database: str) -> AsyncIterator[Messages]:
    """Run a broker and an ingest."""
    stream, store = Stream(), result_store(database)
    await stream.start()
    try:
        ingest = stream.ingest(store)
        stage = asyncio.create_task(ingest.run())
        async with Messages(stream, store, stage).clients() as running:
            yield running
        ingest.stop.set()
        async with asyncio.timeout(_LIMIT_S):
            await stage
    finally:
        stream.end()
        await store.database.close()
