import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monitor.config.model import Config
from monitor.config.reading.load import load

Read = Callable[..., Config]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write a configuration file of these keys, and load it with this environment."""

    def write_and_load(environ: dict[str, str] | None = None, **document: Any) -> Config:
        path = tmp_path / "config.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        return load(path, environ or {})

    return write_and_load
