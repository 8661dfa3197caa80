"""CPU time of a program that has next to nothing to do: `python -m benchmarks.idle [SECONDS]`; default 60.

It checks one monitor a minute, with the embedded broker and PostgreSQL.
"""

import asyncio
import sys
import time
from collections.abc import Sequence

from benchmarks.running import cpu_s, first_rows, program, site

SETTLE_S = 10


def main(arguments: Sequence[str]) -> None:
    seconds = float(arguments[0]) if arguments else 60.0
    with (
        site() as url,
        program({"monitors": [{"name": "one", "url": url, "interval_s": 60}]}) as (process, uri),
    ):
        asyncio.run(first_rows(uri, 1))
        time.sleep(SETTLE_S)
        before, began = cpu_s(process), time.monotonic()
        time.sleep(seconds)
        after, lasted_s = cpu_s(process), time.monotonic() - began
    shares = {name: 100 * (after[name] - before[name]) / lasted_s for name in after}
    for name, share in shares.items():
        print(f"idle, % of a core, {name:12} {share:6.2f}")
    print(f"idle, % of a core, everything   {sum(shares.values()):6.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
