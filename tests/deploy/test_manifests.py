"""What `deploy/` says to Docker, Kubernetes, Prometheus and Grafana."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.config.reading.load import load
from tests.program import ROOT, need

DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose"
SECRETS = {"pg_uri": "postgres://monitor:s3cret@db.example/health", "web_token": "s3cret"}


def composed() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
    return read


def manifests() -> dict[str, dict[str, Any]]:
    documents = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    return {document["kind"]: document for document in documents}


def loads(text: str, secrets: str, folder: Path) -> None:
    """Load a configuration whose secrets are in another folder there."""
    for name, secret in SECRETS.items():
        (folder / name).write_text(secret)
    assert text.count(secrets) == len(SECRETS)
    (folder / "config.json").write_text(text.replace(secrets, str(folder)))

    config = load(folder / "config.json", {})

    assert config.data_dir == Path("/data")
    assert config.pg_uri.get_secret_value() == SECRETS["pg_uri"]


def test_the_configuration_for_compose_is_valid(tmp_path: Path) -> None:
    loads((COMPOSE / "config/config.json").read_text(), "/run/secrets", tmp_path)


def test_the_configuration_for_kubernetes_is_valid(tmp_path: Path) -> None:
    loads(manifests()["ConfigMap"]["data"]["config.json"], "/secrets", tmp_path)


def test_what_containers_mount_is_there() -> None:
    services = composed()["services"]
    mounts = [each.split(":")[0] for service in services.values() for each in service.get("volumes", ())]

    named = [each for each in mounts if not each.startswith(".")]

    assert set(named) == set(composed()["volumes"])
    assert all((COMPOSE / each).exists() for each in mounts if each.startswith("."))
    assert {each for service in services.values() for each in service.get("secrets", ())} == set(
        composed()["secrets"]
    )


def test_the_program_gets_longer_to_end_than_its_grace(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"url_to_monitor": "http://a.example/"}))
    grace_s = load(tmp_path / "config.json", {}).shutdown_grace_s

    pod = manifests()["StatefulSet"]["spec"]["template"]["spec"]

    assert pod["terminationGracePeriodSeconds"] > grace_s
    assert int(composed()["services"]["monitor"]["stop_grace_period"].removesuffix("s")) > grace_s


def test_the_user_of_the_image_is_that_of_the_pod() -> None:
    image = (DEPLOY / "Dockerfile").read_text()

    pod = manifests()["StatefulSet"]["spec"]["template"]["spec"]

    assert f"USER {pod['securityContext']['runAsUser']}\n" in image
    assert f"--uid {pod['securityContext']['runAsUser']} " in image


@pytest.mark.clients
def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    need("promtool")
    (tmp_path / "token").write_text("s3cret")
    shutil.copy(ROOT / "grafana/alerts.yml", tmp_path)
    written = (COMPOSE / "prometheus.yml").read_text()
    (tmp_path / "prometheus.yml").write_text(written.replace("/run/secrets/web_token", "token"))

    subprocess.run(
        ["promtool", "check", "config", tmp_path / "prometheus.yml"], check=True, capture_output=True
    )
