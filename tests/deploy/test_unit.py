"""The unit file, as systemd reads it."""

import json
import subprocess
from pathlib import Path

import pytest

from monitor.config.reading.load import load
from tests.program import ROOT, need

UNIT = ROOT / "deploy/website-health.service"


@pytest.mark.clients
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    need("systemd-analyze")
    program = "/opt/website-health/bin/website-health "
    unit = UNIT.read_text()
    assert program in unit
    (tmp_path / UNIT.name).write_text(unit.replace(program, "/bin/true "))

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / UNIT.name],
        check=False,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.clients
def test_the_unit_is_exposed_to_little() -> None:
    need("systemd-analyze")

    subprocess.run(
        ["systemd-analyze", "security", "--no-pager", "--offline=yes", "--threshold=20", UNIT],
        check=True,
        capture_output=True,
    )


def test_its_configuration_is_valid(tmp_path: Path) -> None:
    (tmp_path / "secret_pg_uri").write_text("postgres://monitor:s3cret@db.example/health")
    environ = {"STATE_DIRECTORY": "/var/lib/website-health", "CREDENTIALS_DIRECTORY": str(tmp_path)}

    config = load(ROOT / "deploy/config.json", environ)

    assert config.data_dir == Path("/var/lib/website-health")
    assert config.pg_uri.get_secret_value() == (tmp_path / "secret_pg_uri").read_text()
    assert json.loads((ROOT / "deploy/config.json").read_text())["kafka_bootstrap"] == config.kafka_bootstrap
