"""CPU time of a check in the whole pipeline, beside aiohttp alone.

`python -m benchmarks.pipeline [RATE] [--monitors COUNT] [--https] [--profile]`: RATE checks a second of one
site on loopback, over fresh connections, by as many monitors or COUNT. The bare loop, aiohttp's
`ClientSession`, makes as many requests before and after; the ratios are to the mean of both. With `--https`
both verify the site's certificate; neither resumes a TLS session. With `--profile`, Linux only, it prints
what each part of the program takes.
"""

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks.running import ROOT, answered, cpu_s, first_rows, program, rows, secure_site, site
from monitor.schedule import RAMP_PER_S

SECONDS = 20


@dataclass
class Used:
    """What the program used in one run."""

    checks_per_s: float
    """As the site counts them."""
    stored_per_s: float
    cpu_us: dict[str, float]
    """For a check, by process."""
    parts_us: dict[str, float]
    """For a check, by part of the program; empty without a profile."""
    memory_mb: float


class Counted(NamedTuple):
    """What there was until an instant: results that are stored, checks that the site saw, CPU by process."""

    stored: int
    checks: int
    cpu_s: dict[str, float]
    at_s: float


@contextmanager
def plain_site() -> Iterator[tuple[str, None]]:
    with site() as url:
        yield url, None


def measure_bare(url: str, rate: int, ca_file: Path | None) -> float:
    command = [sys.executable, "-m", "benchmarks.bare", url, str(rate), str(SECONDS)]
    if ca_file:
        command.append(str(ca_file))
    return float(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def measure_program(config: dict[str, Any], url: str, ca_file: Path | None, profile: Path | None) -> Used:
    starter = ["main.py"] if profile is None else ["-m", "benchmarks.profiled", str(profile)]
    with program(config, starter) as (process, uri):
        asyncio.run(first_rows(uri, 1))
        time.sleep(len(config["monitors"]) / RAMP_PER_S + 2)
        if profile:
            process.send_signal(signal.SIGUSR1)
        before = counted(process, uri, url, ca_file)
        time.sleep(SECONDS)
        after = counted(process, uri, url, ca_file)
        parts_s = parts_of(process, profile) if profile else {}
        memory_mb = process.memory_info().rss / 2**20
    checks, lasted_s = after.checks - before.checks, after.at_s - before.at_s
    return Used(
        checks / lasted_s,
        (after.stored - before.stored) / lasted_s,
        {name: (after.cpu_s[name] - before.cpu_s[name]) / checks * 1e6 for name in after.cpu_s},
        {part: seconds / checks * 1e6 for part, seconds in parts_s.items()},
        memory_mb,
    )


def counted(process: psutil.Process, uri: str, url: str, ca_file: Path | None) -> Counted:
    return Counted(asyncio.run(rows(uri)), answered(url, ca_file), cpu_s(process), time.monotonic())


def parts_of(process: psutil.Process, profile: Path) -> dict[str, float]:
    process.send_signal(signal.SIGUSR2)
    ends = time.monotonic() + 10
    while not profile.exists():
        if time.monotonic() > ends:
            raise TimeoutError("the program wrote no profile")
        time.sleep(0.05)
    parts_s: dict[str, float] = json.loads(profile.read_text())
    return parts_s


def report(rate: int, used: Used, bare_us: Sequence[float]) -> None:
    all_us, mean_us = sum(used.cpu_us.values()), sum(bare_us) / len(bare_us)
    before_us, after_us = bare_us
    print(f"checks a second              {used.checks_per_s:8.1f}   (asked for: {rate})")
    print(f"results a second, stored     {used.stored_per_s:8.1f}")
    for name, cpu_us in used.cpu_us.items():
        print(f"CPU us a check, {name:12s} {cpu_us:8.1f}")
    print(f"CPU us a check, everything   {all_us:8.1f}")
    print(f"CPU us a request, bare loop  {mean_us:8.1f}   (before: {before_us:.1f}, after: {after_us:.1f})")
    print(f"program / bare loop          {used.cpu_us['program'] / mean_us:8.2f}")
    print(f"everything / bare loop       {all_us / mean_us:8.2f}")
    print(f"memory of the program, MB    {used.memory_mb:8.1f}")
    for part, cpu_us in sorted(used.parts_us.items(), key=lambda each: -each[1]):
        print(f"  {part:26} {cpu_us:8.1f}   {100 * cpu_us / sum(used.parts_us.values()):5.1f} %")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("rate", type=int, nargs="?", default=400, help="checks a second")
    arguments.add_argument("--monitors", type=int, help="how many monitors make them; RATE")
    arguments.add_argument("--https", action="store_true", help="the site answers over TLS")
    arguments.add_argument("--profile", action="store_true", help="print what each part of the program takes")
    asked = arguments.parse_args()
    with ExitStack() as resources:
        url, ca_file = resources.enter_context(secure_site() if asked.https else plain_site())
        folder = resources.enter_context(tempfile.TemporaryDirectory(prefix="whm-"))
        count = asked.monitors or asked.rate
        monitors = [{"name": f"m{n}", "url": url, "interval_s": count / asked.rate} for n in range(count)]
        config = {
            "monitors": monitors,
            "defaults": {"ca_file": str(ca_file)} if ca_file else {},
            "max_checks_per_host": 1_000,
        }
        before_us = measure_bare(url, asked.rate, ca_file)
        used = measure_program(config, url, ca_file, Path(folder, "parts.json") if asked.profile else None)
        after_us = measure_bare(url, asked.rate, ca_file)
    report(asked.rate, used, (before_us, after_us))


if __name__ == "__main__":
    main()
