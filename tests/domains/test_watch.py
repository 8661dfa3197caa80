"""Registries are asked once a day for each domain, by one of all processes."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from monitor.config.addresses import MAX_RDAP_SERVER_LENGTH, check_rdap_server
from monitor.config.model import Monitor
from monitor.domains.known import Domain, Domains, Key
from monitor.domains.rdap import Answer
from monitor.domains.registries import KEPT_S, Registries
from monitor.domains.store import LEASE_S, DomainStore
from monitor.domains.watch import DomainWatch
from monitor.probe.exchange.connector import Network
from monitor.probe.registration import ask_registry
from monitor.storage.database import Database, StoreUnavailableError
from tests.clock import Clock
from tests.domains.registry import Registry, answering
from tests.sites import Serve, no_file_descriptor, ok
from tests.stream import eventually

NOW = 1_800_000_000.0
DATE, EXPIRES_AT = "2027-03-01T00:00:00Z", 1_803_859_200.0
MARGIN_S = 600.0  # longer than the test takes
AWAY = "postgresql://127.0.0.1:9/x"


class World:
    """A registry, a database, and the watches of several processes."""

    def __init__(self, serve: Serve, database: Database, network: Network, folder: Path) -> None:
        self.registry = Registry()
        self.registry.url = serve(self.registry.script)
        self.registry.dates = {"shop.com": DATE}
        self.database, self.folder = database, folder
        self.fetch = partial(ask_registry, network)
        self.clock = Clock(NOW)

    def registries(self, name: str = "one") -> Registries:
        url = f"{self.registry.url}/dns.json"
        return Registries(self.folder / f"{name}.json", self.fetch, url, self.clock)

    def process(self, *monitors: Monitor, of: Database | None = None) -> tuple[Domains, DomainWatch]:
        """Return what a process knows, and its watch."""
        domains = Domains()
        domains.follow(monitors)
        store = DomainStore(of or self.database)
        return domains, DomainWatch(
            domains, store, self.registries(), self.fetch, apart_s=0, clock=self.clock
        )

    async def later(self, seconds: float) -> None:
        """Let the time of the database go on."""
        await self.database.fetch(
            "UPDATE health_domains"
            " SET due_at = due_at - $1, asked_at = asked_at - $1, seen_at = seen_at - $1",
            seconds,
        )

    @property
    def asked(self) -> list[str]:
        """The domains that the registry was asked about."""
        paths = [each for each in self.registry.requests if each != "/dns.json"]
        return [each.rpartition("/")[2] for each in paths]


@pytest.fixture
async def world(serve: Serve, database: str, tmp_path: Path) -> AsyncIterator[World]:
    opened = Database(database)
    async with Network(4, environ={}) as network:
        yield World(serve, opened, network, tmp_path)
    await opened.close()


def monitor(name: str, url: str = "https://www.shop.com/", **settings: Any) -> Monitor:
    return Monitor(name=name, url=url, **{"min_domain_days": 30.0, **settings})


def known(domains: Domains, name: str = "shop") -> Domain:
    domain = domains.of(name)
    assert domain is not None
    return domain


async def test_a_domain_is_asked_about_once_a_day(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    domains, watch = world.process(monitor("shop"), monitor("blog", "https://blog.shop.com/"))

    await watch.look()
    await watch.look()
    await world.later(86_400 - MARGIN_S)
    await watch.look()
    asked_within_a_day = len(world.asked)
    await world.later(MARGIN_S)
    await watch.look()

    assert known(domains).expires_at == EXPIRES_AT
    assert known(domains).seen_at == pytest.approx(known(domains).asked_at)
    assert (asked_within_a_day, world.asked) == (1, ["shop.com"] * 2)
    assert "Accept: application/rdap+json" in world.registry.heads[-1]
    assert "the domain shop.com expires at 2027-03-01 00:00:00 UTC" in caplog.text


async def test_a_domain_is_asked_about_again_when_the_clock_of_the_database_is_set_back(world: World) -> None:
    _, watch = world.process(monitor("shop"))
    await watch.look()

    await world.later(-MARGIN_S)
    await watch.look()
    await watch.look()

    assert world.asked == ["shop.com"] * 2


async def test_what_is_known_is_read_before_anybody_is_asked(world: World) -> None:
    await world.process(monitor("shop"))[1].look()
    domains = Domains()
    domains.follow([monitor("shop"), monitor("other", "https://other.com/")])
    known_when_asked: list[float | None] = []

    async def fetch(request: Monitor) -> Answer:
        known_when_asked.append(known(domains).expires_at)
        return await world.fetch(request)

    await DomainWatch(domains, DomainStore(world.database), world.registries(), fetch, apart_s=0).look()

    assert known_when_asked == [EXPIRES_AT]


async def test_requests_are_apart(world: World) -> None:
    domains = Domains()
    domains.follow([monitor("shop"), monitor("other", "https://other.com/")])
    store = DomainStore(world.database)
    asked_at: list[float] = []

    async def fetch(request: Monitor) -> Answer:
        asked_at.append(time.monotonic())
        return await world.fetch(request)

    await DomainWatch(domains, store, world.registries(), fetch, apart_s=0.2).look()

    assert asked_at[1] - asked_at[0] >= 0.2


async def test_only_one_of_several_processes_asks_and_all_know(world: World) -> None:
    processes = [world.process(monitor("shop")) for _ in range(3)]

    await asyncio.gather(*(watch.look() for _, watch in processes))
    for _, watch in processes:
        await watch.read()

    assert [known(domains).expires_at for domains, _ in processes] == [EXPIRES_AT] * 3
    assert world.asked == ["shop.com"]


async def test_a_process_that_dies_while_it_asks_is_followed_by_another(world: World) -> None:
    store = DomainStore(world.database)
    domains, watch = world.process(monitor("shop"))
    await store.add(domains.watched)
    assert await store.claim(domains.watched) == Key("shop.com", "")

    await watch.look()
    asked_during_the_lease = list(world.asked)
    await world.later(LEASE_S)
    await watch.look()

    assert asked_during_the_lease == []
    assert known(domains).expires_at == EXPIRES_AT


async def test_a_server_of_the_monitor_is_asked_instead(world: World) -> None:
    server = f"{world.registry.url}/com/v1"
    domains, watch = world.process(
        monitor("shop", rdap_server=server), monitor("blog", "https://blog.shop.com/")
    )

    await watch.look()

    assert known(domains, "shop").expires_at == known(domains, "blog").expires_at == EXPIRES_AT
    assert world.registry.requests.count("/com/v1/domain/shop.com") == 2


@pytest.mark.parametrize(
    ("instead", "why", "again_s"),
    [
        (answering(404), "does not know it (404)", 86_400),
        (answering(429, "Retry-After: 7200"), "answers no more requests for now (429)", 7_200),
        (answering(500), "answers 500", 3_600),
        (ok(b'{"redacted": []}'), "does not say when it expires", 86_400),
        (b"", "gives no answer: the connection was closed before a response", 3_600),
    ],
)
async def test_what_a_registry_does_not_say_is_not_known(
    world: World, instead: bytes, why: str, again_s: float
) -> None:
    world.registry.instead = instead
    domains, watch = world.process(monitor("shop"))

    await watch.look()
    await world.later(again_s - MARGIN_S)
    await watch.look()
    asked_before = len(world.asked)
    await world.later(MARGIN_S)
    await watch.look()

    assert (known(domains).expires_at, known(domains).expiry(NOW)) == (None, None)
    assert why in (known(domains).why or "")
    assert (asked_before, len(world.asked)) == (1, 2)


async def test_a_registry_that_answers_no_more_leaves_what_was_known(world: World) -> None:
    domains, watch = world.process(monitor("shop"))
    await watch.look()
    seen_at = known(domains).seen_at
    assert seen_at is not None

    await world.later(86_400)
    world.registry.instead = answering(429)
    await watch.look()

    assert known(domains).expires_at == EXPIRES_AT
    assert known(domains).seen_at == pytest.approx(seen_at - 86_400)
    assert (known(domains).asked_at or 0) >= seen_at
    assert "429" in (known(domains).why or "")


async def test_a_top_level_domain_without_rdap_is_not_known(world: World) -> None:
    domains, watch = world.process(monitor("shop", "https://www.shop.org/"))

    await watch.look()

    assert known(domains).why == "no RDAP server is known for .org"
    assert world.asked == []


async def test_a_redirect_to_another_server_is_followed(world: World, serve: Serve) -> None:
    other = Registry()
    other.dates = {"shop.com": DATE}
    place = serve(other.script)
    world.registry.instead = answering(302, f"Location: {place}/com/v1/domain/shop.com")
    domains, watch = world.process(monitor("shop"))

    await watch.look()

    assert known(domains).expires_at == EXPIRES_AT


async def test_addresses_that_are_denied_are_not_asked(world: World) -> None:
    domains, watch = world.process(monitor("shop", deny_addresses="private"))

    await watch.look()

    assert "must not be connected to" in (known(domains).why or "")
    assert world.registry.requests == []


async def test_own_trouble_is_no_answer(world: World, caplog: pytest.LogCaptureFixture) -> None:
    domains, watch = world.process(monitor("shop", rdap_server=world.registry.url))
    await watch.read()  # the database is connected to

    await world.database.fetch("SELECT 1")
    with no_file_descriptor():
        await watch.look()

    assert (known(domains).asked_at, known(domains).why) == (None, None)
    assert "nobody is asked about the domain shop.com for now" in caplog.text


async def test_one_look_asks_about_fifty_domains(world: World) -> None:
    server = f"{world.registry.url}/com/v1"
    many = [monitor(str(at), f"https://shop{at}.com/", rdap_server=server) for at in range(51)]
    _, watch = world.process(*many)

    await watch.look()
    asked_first = len(world.asked)
    await watch.look()

    assert (asked_first, len(set(world.asked))) == (50, 51)


async def test_a_domain_can_have_the_longest_server(world: World) -> None:
    domain = ".".join(["a" * 63] * 3 + ["b" * 57, "com"])
    letters = "".join(map(chr, range(0x4E00, 0x5200)))
    server = f"{world.registry.url}/{letters}"[:MAX_RDAP_SERVER_LENGTH]
    domains, watch = world.process(
        monitor("shop", f"https://{domain}/", rdap_server=check_rdap_server(server))
    )

    await watch.look()

    assert "does not know it (404)" in (known(domains).why or "")


async def test_nobody_is_asked_where_nothing_is_watched(world: World) -> None:
    _, watch = world.process(monitor("shop", min_domain_days=None), of=Database(AWAY))

    await watch.look()
    await watch.read()

    assert world.registry.requests == []


async def test_without_the_database_nobody_is_asked_until_it_is_there(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    _, watch = world.process(monitor("shop"), of=Database(AWAY))

    with pytest.raises(StoreUnavailableError):
        await watch.look()
    running = asyncio.create_task(watch.run(look_s=0))

    async def looked_twice() -> bool:
        return caplog.text.count("no look at domains for now") > 1

    await eventually("it has looked twice", looked_twice)
    running.cancel()

    assert world.registry.requests == []


async def test_domains_that_nobody_wants_any_more_are_forgotten(world: World) -> None:
    _, watch = world.process(monitor("shop"))
    await watch.look()

    await world.later(32 * 86_400)
    _, other = world.process(monitor("other", "https://other.com/"))
    await other.look()

    rows = await world.database.fetch("SELECT domain FROM health_domains")
    assert [row["domain"] for row in rows] == ["other.com"]


async def test_the_list_of_servers_is_kept_for_a_week_also_on_disk(world: World) -> None:
    shop = monitor("shop")
    first = world.registries()
    assert await first.server_of("shop.com", shop) == f"{world.registry.url}/com/v1/"
    assert await first.server_of("blog.net", shop) == f"{world.registry.url}/com/v1/"
    os.utime(world.folder / "one.json", (NOW, NOW))

    world.clock.now += KEPT_S - 1
    await first.server_of("shop.com", shop)
    await world.registries().server_of("shop.com", shop)
    fetched_within_a_week = world.registry.requests.count("/dns.json")
    world.clock.now += 1
    await first.server_of("shop.com", shop)
    await world.registries().server_of("shop.com", shop)

    assert fetched_within_a_week == 1
    assert world.registry.requests.count("/dns.json") == 3


@pytest.mark.parametrize("instead", [answering(503), ok(b"[]")])
async def test_an_old_list_is_better_than_none(world: World, instead: bytes) -> None:
    shop = monitor("shop")
    await world.registries().server_of("shop.com", shop)
    os.utime(world.folder / "one.json", (NOW - 2 * KEPT_S, NOW - 2 * KEPT_S))
    world.registry.list_instead = instead
    registries = world.registries()

    servers = [await registries.server_of("shop.com", shop) for _ in range(2)]
    tried = world.registry.requests.count("/dns.json")
    world.clock.now += 3_600
    await registries.server_of("shop.com", shop)

    assert servers == [f"{world.registry.url}/com/v1/"] * 2
    assert (tried, world.registry.requests.count("/dns.json")) == (2, 3)


async def test_without_any_list_nothing_is_known(world: World) -> None:
    world.registry.list_instead = answering(503)
    (world.folder / "one.json").write_bytes(b"broken")
    domains, watch = world.process(monitor("shop"))

    await watch.look()

    assert known(domains).why == "no RDAP server is known: IANA's list of RDAP servers answers 503"


async def test_a_list_that_cannot_be_written_is_used(world: World, caplog: pytest.LogCaptureFixture) -> None:
    (world.folder / "one.new").mkdir()
    registries = world.registries()

    assert await registries.server_of("shop.com", monitor("shop")) == f"{world.registry.url}/com/v1/"
    assert "one.json cannot be written: Is a directory" in caplog.text
