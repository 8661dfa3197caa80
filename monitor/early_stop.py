"""A stop while the program still loads: `main.py` imports this first, for what it does on import."""

import os
import signal
import sys


def stop(_number: int, _frame: object) -> None:
    """End at once: nothing has begun, and with `--once` nothing was checked."""
    os._exit(1 if "--once" in sys.argv else 0)


for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, stop)
