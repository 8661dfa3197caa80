"""DNS look-ups in threads of their own."""

import asyncio
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from monitor.probe.dns import SystemResolver

Place = tuple[Any, ...]


class Names:
    """A DNS in which some names hang until they are released."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.released = threading.Event()

    def getaddrinfo(self, host: str, _port: None, **wanted: Any) -> list[Place]:
        self.asked.append(host)
        if host.startswith("hanging"):
            self.released.wait()
        if host == "local":
            return [(socket.AF_INET6, 1, 6, "", ("fe80::1", 0, 0, 2))]
        assert wanted["type"] == socket.SOCK_STREAM
        return [
            (socket.AF_INET, 1, 6, "", ("10.0.0.1", 0)),
            (socket.AF_INET6, 1, 6, "", ("2001:db8::1", 0, 0, 0)),
        ]


async def addresses(resolver: SystemResolver, host: str) -> list[str]:
    return [each["host"] for each in await resolver.resolve(host, 80)]


async def test_all_addresses_of_a_name_are_found() -> None:
    resolver = SystemResolver(2, Names().getaddrinfo)

    assert await addresses(resolver, "a.test") == ["10.0.0.1", "2001:db8::1"]
    assert await addresses(resolver, "local") == ["fe80::1%2"]
    await resolver.close()


async def test_the_system_finds_localhost() -> None:
    resolver = SystemResolver(1, socket.getaddrinfo)

    assert set(await addresses(resolver, "localhost")) <= {"127.0.0.1", "::1"}
    await resolver.close()


async def test_something_that_is_no_name_is_not_found() -> None:
    resolver = SystemResolver(1, socket.getaddrinfo)

    with pytest.raises(socket.gaierror) as error:
        await resolver.resolve("a" * 64)

    assert error.value.errno == socket.EAI_NONAME
    await resolver.close()


async def test_a_name_that_hangs_delays_no_other_and_takes_one_thread() -> None:
    names = Names()
    resolver = SystemResolver(2, names.getaddrinfo)
    waiting = [asyncio.create_task(addresses(resolver, "hanging.test")) for _ in range(5)]
    given_up = asyncio.create_task(addresses(resolver, "hanging.test"))
    await asyncio.sleep(0)

    for _ in range(3):
        assert await addresses(resolver, "a.test")
    given_up.cancel()
    await asyncio.wait([given_up])
    assert not any(each.done() for each in waiting)

    names.released.set()
    assert all([await each for each in waiting])
    assert names.asked == ["hanging.test", "a.test", "a.test", "a.test"]
    await resolver.close()


async def test_a_failure_reaches_all_who_wait() -> None:
    def getaddrinfo(*_: Any, **__: Any) -> list[Place]:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    resolver = SystemResolver(1, getaddrinfo)

    failures = await asyncio.gather(
        resolver.resolve("a.test"), resolver.resolve("a.test"), return_exceptions=True
    )

    assert all(isinstance(each, socket.gaierror) for each in failures)
    await resolver.close()


async def test_names_beyond_the_threads_wait_for_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names()
    resolver = SystemResolver(2, names.getaddrinfo)
    waiting = [asyncio.create_task(addresses(resolver, "hanging.test"))]
    await asyncio.sleep(0)

    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    waiting += [asyncio.create_task(addresses(resolver, f"{each}.test")) for each in "abc"]
    await asyncio.sleep(0)
    names.released.set()

    assert all([await each for each in waiting])
    await resolver.close()


async def test_there_are_no_more_threads_than_allowed() -> None:
    before = set(threading.enumerate())
    names = Names()
    resolver = SystemResolver(1, names.getaddrinfo)
    waiting = [asyncio.create_task(addresses(resolver, f"hanging-{each}.test")) for each in range(3)]
    await asyncio.sleep(0)

    assert len(set(threading.enumerate()) - before) == 1
    names.released.set()

    assert all([await each for each in waiting])
    await resolver.close()


def test_a_look_up_that_hangs_does_not_hold_up_the_end_of_the_program() -> None:
    program = """
import asyncio, threading
from monitor.probe.dns import SystemResolver

async def main():
    resolver = SystemResolver(1, lambda *_, **__: threading.Event().wait())
    try:
        async with asyncio.timeout(0.1):
            await resolver.resolve("hanging.test")
    except TimeoutError:
        print("gave up")
    await resolver.close()

asyncio.run(main())
"""

    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert (ended.stdout, ended.stderr) == ("gave up\n", "")


def test_an_answer_after_the_end_of_the_event_loop_is_dropped() -> None:
    before = set(threading.enumerate())
    names = Names()

    async def give_up() -> None:
        resolver = SystemResolver(1, names.getaddrinfo)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(resolver.resolve("hanging.test"), 0.05)
        await resolver.close()

    asyncio.run(give_up())
    (thread,) = set(threading.enumerate()) - before
    names.released.set()
    thread.join(60)

    assert not thread.is_alive()
