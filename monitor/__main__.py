"""The program from its start: `website-health`, `python -m monitor` and `python main.py` are the same."""

import os
import signal
import sys


def _stop(_number: int, _frame: object) -> None:
    """End at once: nothing has begun, so nothing was checked with `--once`, or sent with `--test-alerts`."""
    os._exit(1 if {"--once", "--test-alerts"}.intersection(sys.argv) else 0)


# Loading the program takes a while. A stop in that time is a stop, not a traceback.
for _number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(_number, _stop)

from monitor.cli import main  # noqa: E402 - after the signals are set


def run() -> int:
    """Do what the command line asks for; return the exit code."""
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
