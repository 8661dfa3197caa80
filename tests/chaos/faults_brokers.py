"""What happens to some of several brokers while the others work."""

import asyncio

from tests.chaos.world import World

TOPIC = "website_health"


async def kill_leader(world: World) -> None:
    """Kill the broker that leads a partition: another leads it, and results arrive before it is back."""
    leader = await world.kafka.leader(TOPIC)
    await asyncio.to_thread(leader.kill)
    await world.caught_up()
    await asyncio.sleep(world.chance.uniform(0, 10))
    await asyncio.to_thread(leader.start)


async def freeze_leader(world: World) -> None:
    """Let the broker that leads a partition hang beyond its session: its clients hear nothing."""
    leader = await world.kafka.leader(TOPIC)
    leader.pause()
    await asyncio.sleep(30)
    leader.resume()


async def restart_kafka(world: World) -> None:
    """Restart the brokers as for an update: cleanly, one after the other."""
    for broker in world.kafka.brokers:
        await asyncio.to_thread(broker.stop)
        await asyncio.to_thread(broker.start)
