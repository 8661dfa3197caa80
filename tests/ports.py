"""Ports of 127.0.0.1 for servers that begin later, or never."""

import random
import socket
from contextlib import suppress
from itertools import cycle

# None that the system assigns to clients, or to servers that take any: each is free until it is used.
_PORTS = cycle(random.SystemRandom().sample(range(10_000, 32_000), 22_000))


def free_ports(count: int) -> list[int]:
    """Find so many ports on which nobody listens, and which this process has not found before."""
    ports: list[int] = []
    while len(ports) < count:
        port = next(_PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(port)
    return ports
