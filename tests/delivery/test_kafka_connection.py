import asyncio

import pytest
import uvloop
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from monitor.delivery.kafka.access import CLIENT_ID
from monitor.embedded.broker import Broker


async def closed_between(host: str, port: int) -> None:
    """Send a request to a connection that has answered one, and was closed a moment ago."""
    connection = await create_conn(host, port, client_id=CLIENT_ID)
    assert (await connection.send(MetadataRequest([]))).brokers
    connection._writer.transport.abort()
    await asyncio.sleep(0)  # now it is closed, and who reads from it will know in the next turn
    with pytest.raises(KafkaConnectionError, match=f"{host}:{port}: closed"):
        await connection.send(MetadataRequest([]))
    assert not connection.connected()


async def test_a_connection_that_was_closed_a_moment_ago_is_an_error_of_kafka(broker: Broker) -> None:
    host, port = broker.bootstrap.split(":")

    await asyncio.to_thread(uvloop.run, closed_between(host, int(port)))
