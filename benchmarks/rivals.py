"""CPU time of a check beside other monitors: `python -m benchmarks.rivals [MONITORS]`; default 400.

Each system checks the same site on loopback, MONITORS times a second over fresh connections, for the status
and a pattern in the body. It runs those that are on the PATH: `prometheus` and `prometheus-blackbox-exporter`
as Debian names them, `telegraf`, `gatus`. The site counts the checks.

The configurations of Telegraf and Gatus are written from their documentation, and have not been run. What
the systems do with a result differs; the table says it.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.running import answered, cpu_s, free_port, program, site

PATTERN = "All is well"
SECONDS = 20
READY_S = 90
"""Within which a system has to check as often as it should."""
EXPORTER = "prometheus-blackbox-exporter"


@dataclass(frozen=True)
class System:
    """What is compared: `run` gets a folder and the URLs to check, and yields the processes."""

    name: str
    does: str
    needs: Sequence[str]
    run: Callable[[Path, Sequence[str]], AbstractContextManager[Sequence[psutil.Process]]]


class NotReadyError(Exception):
    """The system does not check, or not often enough; the text says why."""


@contextmanager
def this_program(_folder: Path, urls: Sequence[str]) -> Iterator[Sequence[psutil.Process]]:
    monitors = [{"name": f"m{n}", "url": url} for n, url in enumerate(urls)]
    defaults = {"interval_s": 1, "expect": {"status": ["200"], "body_regex": [PATTERN]}}
    with program({"monitors": monitors, "defaults": defaults, "max_checks_per_host": 1_000}) as (process, _):
        yield [process]


@contextmanager
def prometheus(folder: Path, urls: Sequence[str]) -> Iterator[Sequence[psutil.Process]]:
    exporter, server = (f"127.0.0.1:{free_port()}" for _ in range(2))
    expected = {"preferred_ip_protocol": "ip4", "valid_status_codes": [200]}
    http = expected | {"fail_if_body_not_matches_regexp": [PATTERN]}
    modules = written(folder / "exporter.yml", {"modules": {"page": {"prober": "http", "http": http}}})
    job = {
        "job_name": "sites",
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "metrics_path": "/probe",
        "params": {"module": ["page"]},
        "static_configs": [{"targets": urls}],
        "relabel_configs": [
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"source_labels": ["__param_target"], "target_label": "instance"},
            {"target_label": "__address__", "replacement": exporter},
        ],
    }
    down = {"alert": "Down", "expr": "probe_success == 0", "for": "3s"}
    rules = written(folder / "rules.yml", {"groups": [{"name": "sites", "interval": "1s", "rules": [down]}]})
    config = written(folder / "prometheus.yml", {"rule_files": [str(rules)], "scrape_configs": [job]})
    to_data = f"--storage.tsdb.path={folder / 'data'}"
    with (
        running(folder, EXPORTER, f"--config.file={modules}", f"--web.listen-address={exporter}") as first,
        running(
            folder, "prometheus", f"--config.file={config}", f"--web.listen-address={server}", to_data
        ) as second,
    ):
        yield [first, second]


@contextmanager
def telegraf(folder: Path, urls: Sequence[str]) -> Iterator[Sequence[psutil.Process]]:
    # One input for each URL: an input asks for its URLs one after the other.
    lines = ["[agent]", 'interval = "1s"']
    for url in urls:
        lines += ["[[inputs.http_response]]", f'urls = ["{url}"]', 'response_timeout = "10s"']
        lines += [f'response_string_match = "{PATTERN}"', "response_status_code = 200"]
    lines += ["[[outputs.file]]", f'files = ["{folder / "results"}"]']
    config = folder / "telegraf.conf"
    config.write_text("\n".join(lines))
    with running(folder, "telegraf", "--config", str(config), "--quiet") as process:
        yield [process]


@contextmanager
def gatus(folder: Path, urls: Sequence[str]) -> Iterator[Sequence[psutil.Process]]:
    conditions = ["[STATUS] == 200", f"[BODY] == pat(*{PATTERN}*)"]
    config = {
        "concurrency": 0,
        "web": {"address": "127.0.0.1", "port": free_port()},
        "storage": {"type": "sqlite", "path": str(folder / "gatus.db")},
        "endpoints": [
            {"name": f"m{n}", "url": url, "interval": "1s", "conditions": conditions}
            for n, url in enumerate(urls)
        ],
    }
    path = written(folder / "gatus.yaml", config)
    with running(folder, "gatus", GATUS_CONFIG_PATH=str(path), GATUS_LOG_LEVEL="ERROR") as process:
        yield [process]


SYSTEMS = (
    System(
        "this program",
        "outbox on disk, Kafka, rows in PostgreSQL with the body, incidents, sums, metrics, pages",
        [],
        this_program,
    ),
    System(
        "Prometheus, blackbox_exporter",
        "samples in Prometheus' database, one alert; no body",
        ["prometheus", EXPORTER],
        prometheus,
    ),
    System("Telegraf", "a line in a file; no incidents, no body", ["telegraf"], telegraf),
    System("Gatus", "the last results of each in SQLite, sums, pages; no body", ["gatus"], gatus),
)


def written(path: Path, config: object) -> Path:
    path.write_text(json.dumps(config))  # which is YAML, too
    return path


@contextmanager
def running(folder: Path, command: str, *arguments: str, **environ: str) -> Iterator[psutil.Process]:
    """Run a program in a folder, where what it prints goes to a file."""
    with (folder / f"{command}.log").open("w") as log:
        process = psutil.Popen(
            [command, *arguments], cwd=folder, env=os.environ | environ, stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            family = [*process.children(recursive=True), process]
            for each in family:
                each.terminate()
            for each in psutil.wait_procs(family, timeout=20)[1]:
                each.kill()


def wait_until_ready(url: str, rate: int, processes: Sequence[psutil.Process]) -> None:
    """Wait until the site is asked as often as it should be.

    Raises:
        NotReadyError: a process has ended, or the time is over.

    """
    ends, seen_per_s = time.monotonic() + READY_S, 0.0
    while seen_per_s < 0.95 * rate:
        if time.monotonic() > ends:
            raise NotReadyError(f"only {seen_per_s:.0f} checks a second after {READY_S} s")
        before, began = answered(url), time.monotonic()
        time.sleep(3)
        seen_per_s = (answered(url) - before) / (time.monotonic() - began)
        if any(each.status() == psutil.STATUS_ZOMBIE for each in processes):
            raise NotReadyError("it has ended")


def measure(system: System, url: str, monitors: int) -> tuple[float, float]:
    """Return how many checks a second the site saw, and the CPU microseconds of all processes for each.

    Raises:
        NotReadyError: the system does not check; what it printed is in the text.

    """
    urls = [f"{url}?m{n}" for n in range(monitors)]
    with tempfile.TemporaryDirectory(prefix="whm-") as folder, ExitStack() as resources:
        processes = resources.enter_context(system.run(Path(folder), urls))
        try:
            wait_until_ready(url, monitors, processes)
        except NotReadyError as error:
            logs = "".join(path.read_text()[-500:] for path in Path(folder).glob("*.log"))
            raise NotReadyError(f"{error}\n{logs}") from None
        used, count, began = used_s(processes), answered(url), time.monotonic()
        time.sleep(SECONDS)
        used, count = used_s(processes) - used, answered(url) - count
        return count / (time.monotonic() - began), used / count * 1e6


def used_s(processes: Sequence[psutil.Process]) -> float:
    """Return the CPU seconds of these processes and all below them."""
    return sum(sum(cpu_s(each).values()) for each in processes)


def main(arguments: Sequence[str]) -> None:
    monitors = int(arguments[0]) if arguments else 400
    lines = [f"{'system':30} {'checks/s':>9} {'CPU us a check':>15}   what it does with a result"]
    with site() as url:
        for system in SYSTEMS:
            missing = [name for name in system.needs if not shutil.which(name)]
            if missing:
                lines.append(f"{system.name:30} {'skipped: not on the PATH: ' + ', '.join(missing)}")
                continue
            try:
                rate, cpu_us = measure(system, url, monitors)
                lines.append(f"{system.name:30} {rate:9.1f} {cpu_us:15.1f}   {system.does}")
            except NotReadyError as error:
                lines.append(f"{system.name:30} not measured: {error}")
    print(*lines, sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
