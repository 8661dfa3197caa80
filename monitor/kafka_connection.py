"""Connections to Kafka that say so when they have just been closed.

aiokafka 0.14.0 expects an `OSError` of a write to such a one, and uvloop raises a `RuntimeError` (its issue
1038). The task that keeps a client's metadata up to date ended by that, unseen: the client would never have
learned of a new leader. So `send` of all its connections is replaced, once this module is imported.
"""

from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

_send = AIOKafkaConnection.send


def send(connection: Any, *request: Any, **how: Any) -> Any:
    """Send a request, as before.

    Raises:
        KafkaConnectionError: the connection is closed.

    """
    try:
        return _send(connection, *request, **how)
    except RuntimeError as error:
        connection.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError(f"{connection.host}:{connection.port}: closed") from error


AIOKafkaConnection.send = send
