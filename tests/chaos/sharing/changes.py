"""What is done to the processes of a location: planned changes, and deaths of all kinds.

Each does it and mends it; at its end all processes run.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable

from tests.chaos.sharing.location import Location
from tests.freeze import freeze

Fault = Callable[[Location], Awaitable[None]]

SESSION_S = 6.0  # after which Kafka takes a silent process for dead


async def changes(location: Location) -> None:
    """Stop, start and reload at random, some within a second of each other."""
    async with asyncio.TaskGroup() as group:
        for _ in range(location.chance.randint(4, 6)):
            group.create_task(_change(location))
            await asyncio.sleep(location.chance.choice((0.3, 1.0, 4.0)))
    await location.start_all()


async def _change(location: Location) -> None:
    stopped, dispensable = location.stopped, location.dispensable
    if stopped:
        await location.start(location.any_of(stopped))
    elif dispensable and location.chance.random() < 0.75:
        await location.stop(location.any_of(dispensable))
    else:
        await reload(location)


async def reload(location: Location) -> None:
    """Change one monitor in the file of each process."""
    location.version += 1
    await asyncio.to_thread(location.write)


async def stop_and_start(location: Location) -> None:
    """Let the others have all for a while."""
    place = location.any_of(location.running)
    await location.stop(place)
    await asyncio.sleep(location.chance.uniform(5, 12))
    await location.start(place)


async def new_version(location: Location) -> None:
    """Restart one after the other, as for a new version: the next one when all have shards."""
    for place in range(len(location.programs)):
        await location.stop(place)
        await location.start(place)
        await location.until_joined()
        await asyncio.sleep(location.chance.uniform(0, 3))


async def come_and_go(location: Location) -> None:
    """Stop a process again as soon as it has started, and again."""
    place = location.any_of(location.running)
    await location.stop(place)
    for _ in range(3):
        await location.start(place)
        await asyncio.sleep(location.chance.uniform(1, 5))
        await location.stop(place)
    await location.start(place)


async def kill(location: Location) -> None:
    """Kill one; a supervisor starts it again before or after Kafka has noticed."""
    place = location.any_of(location.running)
    await location.kill(place)
    await asyncio.sleep(location.chance.choice((1.0, SESSION_S, 15.0)))
    await location.start(place)


async def kill_while_it_stops(location: Location) -> None:
    place = location.any_of(location.running)
    location.signal(place, signal.SIGTERM)
    await asyncio.sleep(location.chance.uniform(0, 2))
    await location.kill(place)
    await asyncio.sleep(10)
    await location.start(place)


async def freeze_briefly(location: Location) -> None:
    """Let one stand still for less than the session lasts."""
    await _freeze(location, location.chance.uniform(2, 5))


async def freeze_long(location: Location) -> None:
    await _freeze(location, location.chance.uniform(8, 20))


async def _freeze(location: Location, seconds: float) -> None:
    place = location.any_of(location.running)
    await asyncio.to_thread(freeze, location.programs[place].process.pid)
    await asyncio.sleep(seconds)
    location.signal(place, signal.SIGCONT)


async def cut_off(location: Location) -> None:
    """Let one hear nothing more of Kafka, without an error; what was held back may come through, late."""
    network = location.networks[location.any_of(location.running)]
    network.black_hole()
    await asyncio.sleep(location.chance.uniform(2, 20))
    if location.chance.random() < 0.5:
        network.cut()
    await network.start()


async def refuse(location: Location) -> None:
    """Break one's connections to Kafka, and refuse new ones."""
    network = location.networks[location.any_of(location.running)]
    await network.refuse()
    await asyncio.sleep(location.chance.uniform(2, 20))
    await network.start()


async def kill_coordinator(location: Location) -> None:
    """Kill the broker that coordinates the group; another one takes over, where there is one."""
    broker = await location.coordinator()
    await asyncio.to_thread(broker.kill)
    await asyncio.sleep(location.chance.uniform(0, 15))
    await asyncio.to_thread(broker.start)


async def restart_coordinator(location: Location) -> None:
    broker = await location.coordinator()
    await asyncio.to_thread(broker.stop)
    await asyncio.to_thread(broker.start)


PLANNED: tuple[Fault, ...] = (changes, reload, stop_and_start, new_version, come_and_go, restart_coordinator)
UNPLANNED: tuple[Fault, ...] = (
    kill,
    kill_while_it_stops,
    freeze_briefly,
    freeze_long,
    cut_off,
    refuse,
    kill_coordinator,
)
FAULTS = {fault.__name__: fault for fault in (*PLANNED, *UNPLANNED)}
SHORT = ("changes", "kill")
