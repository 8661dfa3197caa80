"""One alert, sent by apprise in a process of its own: `python -m monitor.alerts.channels.apprise_process`.

The library, and those beneath it, read whatever a service answers: without end, and decompressed. So the
kernel bounds what the process may have. Whatever it does, the program lives on, and the next alert has a new
process. The order comes on stdin, since it has secrets; the outcome goes to stdout.
"""

import logging
import resource
import signal
import sys

import msgspec

from monitor.alerts.channels.failures import Failure, failure_in
from monitor.config.apprise import load_apprise

MEMORY_BYTES = 256 << 20
PROCESSOR_S = 30


class Order(msgspec.Struct, frozen=True):
    """What to send, and whereto."""

    url: str
    title: str
    text: str
    kind: str
    """What apprise calls the notify type."""
    deadline_s: float


class Outcome(msgspec.Struct, frozen=True):
    """What became of it; without a failure, it was delivered."""

    failure: Failure | None
    pause_s: float = 0.0
    """How long this service wants to be left alone now."""


def send(order: Order) -> Outcome:
    """Send it with the library."""
    apprise = load_apprise()
    # It must use neither threads nor a time limit of its own.
    asset = apprise.AppriseAsset(app_id="Website health monitor", async_mode=False, service_timeout=0)
    service = apprise.Apprise(asset=asset)
    service.add(order.url)
    # The default is a guess; those of single services are not.
    rates = [each.request_rate_per_sec for each in service]
    pauses = [rate for rate in rates if rate != apprise.NotifyBase.request_rate_per_sec]
    with service.notify(
        order.text, title=order.title, notify_type=order.kind, body_format="text", log_level=logging.DEBUG
    ) as result:
        failure = None if result else failure_in(entry.message for entry in result.logs())
    return Outcome(failure, max(pauses, default=0.0))


def bound(deadline_s: float) -> None:
    """Bound the time, the processor time and the memory of this process; the kernel ends it."""
    signal.setitimer(signal.ITIMER_REAL, deadline_s)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_S, PROCESSOR_S))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))


def main() -> None:
    """Send what is ordered, within bounds."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    bound(order.deadline_s)
    sys.stdout.buffer.write(msgspec.json.encode(send(order)))


if __name__ == "__main__":
    main()
