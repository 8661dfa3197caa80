"""Run the website health monitor: `python main.py`, with `config.json` of the working directory."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from monitor.config import Config
from monitor.load import ConfigError, load
from monitor.service import CannotGoOnError, check_once, serve
from monitor.table import print_table

if sys.platform == "win32":
    from asyncio import new_event_loop
else:
    from uvloop import new_event_loop


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line; a mistake in it ends the program with exit code 2."""
    parser = argparse.ArgumentParser(prog="main.py", description="Checks websites and keeps every result.")
    parser.add_argument("--config", type=Path, default=Path("config.json"), metavar="PATH")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check-config", action="store_true", help="say whether the configuration is valid")
    mode.add_argument("--once", action="store_true", help="check every monitor once and print a table")
    return parser.parse_args(argv)


def log_to_stderr(level: str) -> None:
    """Log one line an event; what the libraries say of their own troubles, the stages say better."""
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def run(config: Config, options: argparse.Namespace) -> int:
    """Run until it is over; return the exit code."""
    log_to_stderr(config.log_level)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        if options.once:
            results = runner.run(check_once(config, options.config, os.environ))
            print_table(results)
            return 0 if all(result.up for result in results) else 1
        runner.run(serve(config, options.config, os.environ))
        return 0


def main(argv: Sequence[str]) -> int:
    """Do what the command line asks for; return the exit code."""
    options = arguments(argv)
    try:
        config = load(options.config, os.environ)
        if options.check_config:
            print(f"{options.config}: valid, {len(config.monitors)} monitors")  # noqa: T201 - the answer
            return 0
        return run(config, options)
    except ConfigError as error:
        print(*error.mistakes, sep="\n", file=sys.stderr)  # noqa: T201 - before logging is set up
        return 2
    except CannotGoOnError as error:
        logging.getLogger("main").critical("%s", error)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
