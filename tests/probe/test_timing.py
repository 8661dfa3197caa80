import asyncio
import socket

from aiohttp.client_proto import ResponseHandler

from monitor.probe.timing import Phase, Timing


async def test_a_connection_that_was_lost_at_once_is_no_trouble() -> None:
    timing = Timing()

    timing.connected(ResponseHandler(asyncio.get_running_loop()))

    assert (timing.ip, timing.transport, timing.phase) == (None, None, Phase.PROCESSING)


async def test_a_peer_without_an_address_leaves_the_one_that_was_tried() -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    transport, protocol = await loop.create_connection(lambda: ResponseHandler(loop), sock=ours)
    timing = Timing()
    timing.ip = "10.0.0.1"

    timing.connected(protocol)

    assert (timing.ip, timing.transport) == ("10.0.0.1", transport)
    transport.abort()
    await asyncio.sleep(0)
    theirs.close()
