import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, NamedTuple

import aiohttp
import pytest
from aiohttp import web

from monitor.storage.database import StoreUnavailableError
from monitor.web import events as module
from monitor.web.events import Events
from monitor.web.queries import PageReader
from tests.forwarding import until


class World(PageReader):
    """Changes and statuses as a database would have them."""

    def __init__(self) -> None:
        self.changes: list[tuple[int, dict[str, Any]]] = []
        self.status = {"shop": "up"}
        self.unavailable = False
        self.looks = 0
        self.news = 0

    def note_news(self) -> None:
        self.news += 1

    def add(self, *numbers: int) -> None:
        self.changes += [(number, {"monitor": "shop", "n": number}) for number in numbers]

    async def changes_after(self, number: int, most: int | None = None) -> list[tuple[int, dict[str, Any]]]:
        self.looks += 1
        number.to_bytes(8, signed=True)  # as bigint
        if self.unavailable:
            raise StoreUnavailableError
        return [change for change in self.changes if change[0] > number][:most]

    async def last_change(self) -> int:
        return max((number for number, _ in self.changes), default=0)

    async def statuses(self) -> dict[str, str]:
        return dict(self.status)


class Event(NamedTuple):
    name: str
    number: int | None
    content: Any


class Listener:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def next(self) -> Event:
        """Read the next event; comments are left out."""
        async with asyncio.timeout(60):
            fields: dict[str, str] = {}
            while line := (await self._response.content.readline()).decode():
                name, _, value = line.strip().partition(": ")
                if not name and fields:
                    break
                fields |= {name: value} if name else {}
        number = fields.get("id")
        return Event(fields["event"], number and int(number), json.loads(fields["data"]))  # type: ignore[arg-type]

    async def names(self, count: int) -> list[tuple[str, int | None]]:
        return [(event.name, event.number) for event in [await self.next() for _ in range(count)]]

    async def rest(self) -> bytes:
        async with asyncio.timeout(60):
            return await self._response.read()


Listen = Callable[..., Any]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def starts() -> bool:
    """Whether the program has started."""
    return True


@pytest.fixture
async def events(world: World, starts: bool) -> AsyncIterator[Events]:
    made = Events(world.note_news, look_s=0.01)
    running = asyncio.create_task(made.run(world) if starts else asyncio.sleep(0))
    yield made
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


@pytest.fixture
async def listen(events: Events) -> AsyncIterator[Listen]:
    app = web.Application()
    app.add_routes(events.routes())
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/events"

    @asynccontextmanager
    async def listening(last: str | None = None, status: int = 200) -> AsyncIterator[Listener]:
        async with aiohttp.ClientSession() as session:
            headers = {} if last is None else {"Last-Event-ID": last}
            async with session.get(url, headers=headers) as response:
                assert response.status == status
                yield Listener(response)

    yield listening
    events.end()
    await runner.cleanup()


async def test_a_stream_begins_with_hello_and_then_has_what_changes(world: World, listen: Listen) -> None:
    world.add(1)

    async with listen() as listener:
        assert await listener.next() == Event("hello", None, {})
        world.add(2)
        assert await listener.next() == Event("change", 2, {"monitor": "shop", "n": 2})
        world.status = {"shop": "degraded"}
        assert await listener.next() == Event("status", None, {"monitor": "shop", "status": "degraded"})


async def test_many_listeners_all_get_the_events_in_order(world: World, listen: Listen) -> None:
    async with AsyncExitStack() as stack:
        listeners = [await stack.enter_async_context(listen()) for _ in range(25)]
        for listener in listeners:
            await listener.next()

        world.add(1, 2)

        for listener in listeners:
            assert await listener.names(2) == [("change", 1), ("change", 2)]


async def test_pages_are_made_again_before_listeners_get_the_event(world: World, listen: Listen) -> None:
    async with listen() as listener:
        await listener.next()
        world.add(1, 2)
        await listener.next()
        assert world.news == 1


async def test_a_change_with_a_lower_number_that_becomes_visible_later_is_sent(
    world: World, listen: Listen
) -> None:
    async with listen() as listener:
        await listener.next()
        world.add(7)
        assert (await listener.next()).number == 7
        world.add(6)
        assert (await listener.next()).number == 6


async def test_a_listener_that_comes_back_gets_what_it_missed(world: World, listen: Listen) -> None:
    world.add(1, 300, 301)

    async with listen(last="300") as listener:
        assert await listener.names(3) == [("hello", None), ("change", 300), ("change", 301)]


async def test_a_listener_that_missed_a_lot_gets_it_in_parts(
    world: World, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REPLAYED_AT_ONCE", 2)
    world.add(*range(1, 6))

    async with listen(last="0") as listener:
        assert [number for _, number in await listener.names(6)] == [None, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("last", ["x", "-1", "1e3", "²", "9" * 18, "9" * 19, "9" * 5_000])
async def test_a_last_event_that_there_cannot_be_is_not_replayed(
    world: World, listen: Listen, last: str
) -> None:
    world.add(1)

    async with listen(last=last) as listener:
        await listener.next()
        world.add(2)
        assert (await listener.next()).number == 2


async def test_a_database_that_is_unavailable_is_waited_for(world: World, listen: Listen) -> None:
    async with listen() as listener:
        await listener.next()
        world.unavailable = True
        world.add(1)
        looks = world.looks
        await until(lambda: world.looks > looks + 2, "looked again")
        world.unavailable = False
        assert (await listener.next()).number == 1


async def test_nobody_listening_costs_nothing_and_what_happened_meanwhile_is_no_news(
    world: World, events: Events, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ALIVE_S", (0.01, 0.02))  # who has left is noticed by what cannot be sent
    async with listen() as listener:
        await listener.next()
    await until(lambda: not events._wanted.is_set(), "nobody listens")
    world.add(1)

    async with listen() as listener:
        await listener.next()
        world.add(2)
        assert (await listener.next()).number == 2


async def test_a_listener_who_leaves_is_no_trouble(
    world: World,
    events: Events,
    listen: Listen,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "_ALIVE_S", (0.01, 0.02))
    async with listen() as listener:
        await listener.next()

    async with listen() as listener:
        await listener.next()
        for number in range(1, 9):
            world.add(number)
            await listener.next()
    await until(lambda: not events._wanted.is_set(), "nobody listens")

    assert caplog.messages == []


async def test_a_comment_shows_that_the_stream_lives(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ALIVE_S", (0.01, 0.02))

    async with listen() as listener:
        await listener.next()
        assert await listener._response.content.readline() == b": alive\n"


async def test_a_listener_that_does_not_keep_up_has_to_come_again(
    world: World, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_WAITING", 2)
    async with listen() as listener:
        await listener.next()
        world.add(1, 2, 3, 4, 5, 6)
        assert (await listener.rest()).count(b"event: change") == 2


async def test_there_is_a_limit_of_listeners(events: Events, listen: Listen) -> None:
    events.max_listeners = 1

    async with listen(), listen(status=503):
        pass


@pytest.mark.parametrize("starts", [False])
async def test_a_listener_waits_until_the_program_has_started(
    world: World, events: Events, listen: Listen
) -> None:
    async with asyncio.TaskGroup() as tasks:

        async def first() -> Event:
            async with listen() as listener:
                event: Event = await listener.next()
                return event

        event = tasks.create_task(first())
        await until(events._wanted.is_set, "somebody listens")
        running = tasks.create_task(events.run(world))
        assert (await event).name == "hello"
        running.cancel()
