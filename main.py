"""Run the website health monitor: `python main.py`, with `config.json` of the working directory."""

import sys

from monitor.__main__ import run

if __name__ == "__main__":
    sys.exit(run())
