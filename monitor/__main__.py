"""The program from its start: `website-health`, `python -m monitor` and `python main.py` are the same."""

import os
import signal
import sys


def _is_command(argument: str) -> bool:
    """Return whether it asks for something else than to run everything until it is stopped."""
    return argument.startswith("--") and not argument.startswith("--co")  # --config may be shortened


_runs_everything = not any(map(_is_command, sys.argv))


def _stop(_number: int, _frame: object) -> None:
    """End at once: nothing has begun, and a command has not done what it was asked for."""
    os._exit(0 if _runs_everything else 1)


# Loading the program takes a while. A stop in that time is a stop, not a traceback.
for _number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(_number, _stop)
if _runs_everything:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the configuration is read after that in any case

from monitor.cli import main  # noqa: E402 - after the signals are set


def run() -> int:
    """Do what the command line asks for; return the exit code."""
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
