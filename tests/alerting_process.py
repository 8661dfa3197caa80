"""A process that only sends alerts: `python -m tests.alerting_process DATABASE WEBHOOK LEASE_S`."""

import asyncio
import signal
import sys

from pydantic import SecretStr

from monitor.alerts.channels.channels import Channels
from monitor.alerts.sender import send_alerts
from monitor.alerts.store import AlertStore
from monitor.config.alerts import Alerts, Webhook
from monitor.config.model import Config, Monitor
from monitor.runtime.progress import Progress
from monitor.storage.database import Database

MONITORS = tuple(Monitor(name=f"s{number}", url=f"https://s{number}.example/") for number in range(10))


async def send(database: str, webhook: str, lease_s: float) -> None:
    """Send alerts until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    channel = Webhook(webhook=SecretStr(webhook), secret=SecretStr("s3cret"))
    config = Config(monitors=MONITORS, alerts=Alerts(channels={"hook": channel}))
    store = AlertStore(Database(database))
    channels = Channels(lambda: config.alerts.channels)
    progress = Progress("the alerting")
    await send_alerts(store, channels, lambda: config, stop, progress, look_s=0.05, lease_s=lease_s)
    await store.database.close()


if __name__ == "__main__":
    asyncio.run(send(sys.argv[1], sys.argv[2], float(sys.argv[3])))
