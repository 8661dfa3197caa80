"""Ports of 127.0.0.1 for servers that begin later, or never."""

import random
import socket
from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle

_MARK = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)  # as long as this process lives


def _own_ports() -> Sequence[int]:
    """Choose some that no other process of the tests has, none of which the system assigns to anybody."""
    every, a_part = range(10_000, 32_000), 1_000
    for start in random.SystemRandom().sample(every[::a_part], len(every) // a_part):
        with suppress(OSError):
            _MARK.bind(f"\0the ports of tests from {start} on")  # where there are such names: on Linux
            return range(start, start + a_part)
    return every


_PORTS = cycle(_own_ports())


def free_ports(count: int) -> list[int]:
    """Find so many ports on which nobody listens, and which this process has not found before."""
    ports: list[int] = []
    while len(ports) < count:
        port = next(_PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(port)
    return ports
