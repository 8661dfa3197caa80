"""Run the website health monitor: `python main.py`, with `config.json` of the working directory."""

import os
import signal
import sys


def _stop(_number: int, _frame: object) -> None:
    """End at once: nothing has begun, so nothing was checked with `--once`, or sent with `--test-alerts`."""
    os._exit(1 if {"--once", "--test-alerts"}.intersection(sys.argv) else 0)


# Loading the program takes a while. A stop in that time is a stop, not a traceback.
for _number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(_number, _stop)

from monitor.cli import main  # noqa: E402 - as the comment says

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
