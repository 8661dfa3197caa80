"""A request beside the checks, by their rules: their limits, addresses, proxies and TLS."""

from typing import NamedTuple

from monitor.config.model import Monitor
from monitor.probe.exchange.connector import Network
from monitor.probe.probe import Probe
from monitor.probe.response import Received


class Answer(NamedTuple):
    """What has come of a request."""

    received: Received
    """As it came, with whatever secrets are in it."""
    trouble: str | None
    """Why it is not what the monitor expects, for a person."""


async def ask(monitor: Monitor, network: Network) -> Answer:
    """Send the request of a monitor once; nothing is recorded.

    Raises:
        OwnTroubleError: this machine could not send it.

    """
    probe, received = Probe(monitor, "", network), Received()
    try:
        result = await probe.check(0.0, seen=received)
    finally:
        await probe.close()
    return Answer(received, result.detail if result.reason else None)
