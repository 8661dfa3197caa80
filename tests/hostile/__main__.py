"""Do one hostile thing after the other to the whole program, and print a table.

`python -m tests.hostile [--only TEXT] [--short] [--seconds 4] [--list]`; exit code 1 if one line is not `ok`.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from tests.hostile import (
    authorization,
    clients,
    encrypted,
    files,
    machine,
    names,
    neighbours,
    receivers,
    responses,
    steps,
    tokens,
)
from tests.hostile.cases import Case
from tests.hostile.judging import late, lateness_s, reasons, verdict
from tests.hostile.world import HEALTHY, World, world
from tests.sites import flood, hang

SHORT_S = 1.2
TRIES = 3  # with slots that are late: what is hostile makes them late each time, a disk or a host does not
# One of each kind.
SHORT = (
    "head: 1xx without end",
    "head: 1,000 cookies",
    "no HTTP: garbage without end",
    "body: 500,000 chunks of a byte",
    "body: a body without end, fast",
    "body: escapes of terminals",
    "encoding: gzip, a bomb",
    "encoding: br, a bomb",
    "redirect: to [::ffff:127.0.0.2], denied",
    "expectation: JSON nested 100,000 deep",
    "expectation: a regular expression on 1 MB",
    "secret: in a header",
    "secret: the whole request",
    "TLS: expired",
    "token server: sends the secret back",
    "steps: a value that is sent back",
    "TLS: 200 names",
    "TLS: plain text",
    "DNS: over TCP: 4,000 addresses of long names",
    "apprise: a body without end",
    "webhook: 1xx without end",
    "client: half a head, 200 times",
    "client: a broken multipart",
    "client: left in the middle of a body, 200 times, at 256 files",
    "token: 20 wrong ones, then the right one",
    "machine: a secret in the environment",
    "machine: a data_dir that was open to all",
    "Kafka: messages that are no results",
    "file: a secret in a named pipe",
    "file: a ca_file that becomes a named pipe between checks",
    "file: half-written",
    "file: 20,000 unknown keys",
)


def options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile")
    parser.add_argument("--only", metavar="TEXT", default="", help="those whose group or name has this text")
    parser.add_argument("--seconds", type=float, default=4, help="for each (4); some take longer")
    parser.add_argument("--short", action="store_true", help="one of each kind, for a shorter time")
    parser.add_argument("--list", action="store_true", help="only print their names and their number")
    return parser.parse_args(argv)


def all_cases() -> dict[str, Case]:
    sites = (responses, encrypted, authorization, steps, names)
    modules = (*sites, receivers, clients, tokens, machine, neighbours, files)
    found = [case for module in modules for case in module.cases()]
    assert len(found) == len(set(map(str, found)))
    return {str(case): case for case in found}


def chosen(options: argparse.Namespace) -> list[Case]:
    found = all_cases()
    names = SHORT if options.short else tuple(found)
    return [found[name] for name in names if options.only in name]


def line(
    group: str, name: str, wrong: Sequence[str], reason: str, late_slots: object, memory: object
) -> None:
    said = "; ".join(wrong) or "ok"
    print(f"{group:12} {name:45} {reason:20} {late_slots!s:>5} {memory!s:>5}  {said}", flush=True)


async def try_case(here: World, case: Case, seconds: float) -> bool:
    """Run it and print its line; return whether all was well. A program that has ended is started again."""
    for attempt in range(TRIES):
        named = replace(case, name=case.name + " again" * attempt)  # its results are those of this attempt
        seen = await here.run(named, seconds)
        late_slots = late(lateness_s(seen, HEALTHY), seen.allowed_s(here.bare_s), len(HEALTHY))
        if not late_slots or verdict(case, seen, 0):
            break
    wrong = verdict(case, seen, late_slots)
    line(case.group, case.name, wrong, reasons(seen.hostile), late_slots, f"{seen.memory_mb:.0f}")
    if not here.program.runs:
        print(seen.printed[-5_000:])
        await here.start()
    return not wrong


async def end(here: World) -> bool:
    """End the program while sites keep it busy; return whether it does."""
    with ExitStack() as stack:
        busy = [
            Case("end", "a body without end", flood(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536)),
            Case("end", "never answers", hang, settings={"timeout_s": 5}),
        ]
        here.restore(*(here.hostile(case, here.serve(case, stack)) for case in busy))
        await here.wait(lambda: str(busy[0]) in {row.monitor for row in here.rows}, "a result of the site")
        code = await asyncio.to_thread(here.program.stop)
        await asyncio.to_thread(stack.close)
    wrong = [f"exit code {code}"] if code else []
    line("end", "SIGTERM while sites keep it busy", wrong, "-", "-", "-")
    return not wrong


async def main(argv: Sequence[str]) -> int:
    how = options(argv)
    cases = chosen(how)
    if how.list:
        print(*cases, f"{len(cases)} cases", sep="\n")
        return 0
    seconds = SHORT_S if how.short else how.seconds
    async with world() as here:
        line("group", "name", ["verdict"], "reason", "late", "MB")
        bare = await here.measure_bare(max(seconds, 3))
        line("bare", f"nothing, {here.bare_s * 1_000:.0f} ms at most", [], "-", 0, f"{bare.memory_mb:.0f}")
        well = [await try_case(here, case, seconds) for case in cases]
        well.append(await end(here))
    print(f"{len(well)} cases, {well.count(False)} of them not ok")
    return 0 if all(well) else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended
    sys.exit(asyncio.run(main(sys.argv[1:])))
