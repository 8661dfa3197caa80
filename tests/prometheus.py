"""Prometheus and blackbox_exporter from Debian, each with a configuration of the test's, on a free port."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from prometheus_client.parser import text_string_to_metric_families

from tests.program import ROOT, until

EXPORTER = "prometheus-blackbox-exporter"
METRICS_PAGE = (ROOT / "docs/metrics.md").read_text()

Labels = Mapping[str, str]
Samples = dict[str, list[tuple[Labels, float]]]


def get(
    address: str, path: str, query: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Fetch a page; return its status code and its text."""
    connection = HTTPConnection(address, timeout=30)
    try:
        connection.request("GET", f"{path}?{urlencode(query)}", headers=dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def documented(name: str) -> str:
    """Return the YAML after this marker in the documentation."""
    block = re.search(f"<!-- {name} -->\n```yaml\n(.*?)```", METRICS_PAGE, re.DOTALL)
    assert block
    return block[1]


def samples(text: str) -> Samples:
    """Read the text format: by name, each sample's labels and value."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def promtool(*arguments: str | Path, text: str = "") -> str:
    """Run it; return all that it prints, and fail where it finds an error."""
    done = subprocess.run(
        ["promtool", *arguments], check=False, input=text, capture_output=True, text=True, timeout=30
    )
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed
    return printed


class Prometheus:
    """A server that answers queries."""

    def __init__(self, address: str) -> None:
        self._address = address

    def ask(self, path: str, **query: str) -> Any:
        status, text = get(self._address, f"/api/v1/{path}", query)
        answer = json.loads(text)
        assert (status, answer["status"]) == (200, "success"), answer
        return answer["data"]

    def query(self, expression: str) -> list[tuple[Labels, float]]:
        """Evaluate it now; each series' labels and value."""
        data = self.ask("query", query=expression)
        return [(series["metric"], float(series["value"][1])) for series in data["result"]]

    def wait_for(self, expression: str, count: int = 1, limit_s: float = 60) -> list[tuple[Labels, float]]:
        """Wait until it has at least so many series."""
        until(lambda: len(self.query(expression)) >= count, f"{count} series of {expression}", limit_s)
        return self.query(expression)


@contextmanager
def prometheus(folder: Path, config: Mapping[str, Any]) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes often; where a scrape takes too long, all its series end for a while."""
    timing = {"scrape_interval": "5s", "scrape_timeout": "5s", "evaluation_interval": "1s"}
    file = folder / "prometheus.yml"
    file.write_text(json.dumps({"global": timing, **config}))  # JSON is YAML
    with _running("prometheus", file, folder, f"--storage.tsdb.path={folder / 'tsdb'}") as address:
        server = Prometheus(address)
        until(lambda: get(address, "/-/ready", {})[0] == 200, "Prometheus is ready")
        yield server


@contextmanager
def blackbox_exporter(folder: Path, modules: Mapping[str, Any]) -> Iterator[str]:
    """Run blackbox_exporter with these modules; yield its address."""
    file = folder / "blackbox.yml"
    file.write_text(json.dumps({"modules": modules}))
    with _running(EXPORTER, file, folder) as address:
        yield address


@contextmanager
def _running(program: str, config: Path, folder: Path, *arguments: str) -> Iterator[str]:
    log = folder / f"{program}.log"
    options = [f"--config.file={config}", "--web.listen-address=127.0.0.1:0", *arguments]
    with log.open("wb") as stderr:
        process = subprocess.Popen([program, *options], stdin=subprocess.DEVNULL, stderr=stderr)
    try:
        pattern = re.compile(r'msg="Listening on" address=(\S+)')
        until(lambda: pattern.search(log.read_text()) is not None or process.poll() is not None, "listening")
        listening = pattern.search(log.read_text())
        assert listening, log.read_text()
        yield listening[1]
    finally:
        process.kill()
        process.wait(10)
