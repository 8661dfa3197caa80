"""The embedded broker, and a configuration that uses it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from monitor.config.model import Config
from monitor.embedded.broker import Broker
from monitor.embedded.broker import broker as embedded_broker

pytest_plugins = ["tests.apache_kafka"]


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A folder that is gone after the test; its path is short enough for sockets in it."""
    with TemporaryDirectory(prefix="whm-") as name:
        yield Path(name)


@pytest.fixture
def embedded_config(short_dir: Path) -> Config:
    """All defaults: the embedded broker."""
    return Config(monitors=(), data_dir=short_dir, location="here")


@pytest.fixture
async def broker(short_dir: Path) -> AsyncIterator[Broker]:
    """A broker of the test's own, which may kill `broker.child.process`."""
    async with embedded_broker(short_dir) as running:
        yield running
