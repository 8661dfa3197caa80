"""Run the website health monitor: `python main.py`, with `config.json` of the working directory."""

import monitor.early_stop  # noqa: F401 - its import is its use  # isort: skip

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from monitor.answer import AnswerError, answer
from monitor.config import Config
from monitor.config_load import ConfigError, load
from monitor.log_lines import LineHandler
from monitor.replay import ReplayError, replay_dead_letters
from monitor.report import ReportError, instant, report
from monitor.service import CannotGoOnError, check_once, serve
from monitor.signals import Signals
from monitor.table import print_table
from monitor.uptime_report import FORMATS, written

if sys.platform == "win32":
    from asyncio import new_event_loop
else:
    from uvloop import new_event_loop


_LOOKS = 100  # at what was made lately, before the garbage collector looks at everything; 10 by default
_SWITCH_S = 0.000_5  # for which a thread that makes a page keeps the event loop waiting; 5 ms by default


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line; a mistake in it ends the program with exit code 2."""
    parser = argparse.ArgumentParser(prog="main.py", description="Checks websites and keeps every result.")
    parser.add_argument("--config", type=Path, default=Path("config.json"), metavar="PATH")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check-config", action="store_true", help="say whether the configuration is valid")
    mode.add_argument("--once", action="store_true", help="check every monitor once and print a table")
    mode.add_argument(
        "--replay-dead-letters",
        action="store_true",
        help="send <kafka_topic>.dead through <kafka_topic> again",
    )
    mode.add_argument("--report", action="store_true", help="print the uptime of each monitor")
    window = parser.add_argument_group("of a report", "dates or instants of ISO 8601, UTC unless they say")
    window.add_argument("--since", type=instant, metavar="WHEN")
    window.add_argument("--until", type=instant, metavar="WHEN")
    window.add_argument("--format", choices=FORMATS, default="table")
    options = parser.parse_args(argv)
    if mistake := window_mistake(options):
        parser.error(mistake)
    return options


def window_mistake(options: argparse.Namespace) -> str | None:
    """Say what is wrong with the window of a report."""
    given = [options.since, options.until]
    if not options.report:
        return None if given == [None, None] else "--since and --until are for --report"
    if None in given:
        return "--report needs --since and --until"
    return (
        None if options.since < min(options.until, time.time()) else "--since must be before --until and now"
    )


def log_to_stderr(level: str) -> None:
    """Log one line an event; what the libraries say of their own troubles, the stages say better."""
    handler = LineHandler(2, getattr(sys.stderr, "encoding", "utf-8"))
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)s %(message)s", handlers=[handler]
    )
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def run(config: Config, options: argparse.Namespace) -> int:
    """Run until it is over; return the exit code."""
    log_to_stderr(config.log_level)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        if options.once:
            results = runner.run(check_once(config, options.config, os.environ))
            with answer():
                print_table(results)
            unchecked = sum(not monitor.paused for monitor in config.monitors) - len(results)
            return 0 if not unchecked and all(result.up for result in results) else 1
        if options.report:
            found = runner.run(report(config, options.since, options.until))
            with answer():
                print(written(found, options.format), end="")  # noqa: T201 - the answer
            return 0
        if options.replay_dead_letters:
            told = runner.run(replayed(config))
            with answer():
                print(told)  # noqa: T201 - the answer
            return 0
        keep_what_is_there()
        sys.setswitchinterval(_SWITCH_S)
        runner.run(serve(config, options.config, os.environ))
        return 0


def keep_what_is_there() -> None:
    """Let the garbage collector pass over all modules, and seldom look at the rest: it stops the event loop.

    Checks leave no cycles; pages leave few.
    """
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _LOOKS)


async def replayed(config: Config) -> str:
    """Replay until it is done or a signal asks for the end; say how many there were."""
    return await replay_dead_letters(config, Signals().end)


def occupy_standard_streams() -> None:
    """Keep the numbers of standard streams that were closed from other files: uvloop aborts on such ones."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004
        pass
    os.close(number)


def main(argv: Sequence[str]) -> int:
    """Do what the command line asks for; return the exit code."""
    occupy_standard_streams()
    options = arguments(argv)
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL if options.once else signal.default_int_handler)
        config = load(options.config, os.environ)
        if options.check_config:
            with answer():
                print(f"{options.config}: valid, {len(config.monitors)} monitors")  # noqa: T201 - the answer
            return 0
        return run(config, options)
    except ConfigError as error:
        print(*error.mistakes, sep="\n", file=sys.stderr)  # noqa: T201 - before logging is set up
        return 2
    except KeyboardInterrupt:  # before `Signals` are there, or at --once
        return 1 if options.once else 0
    except (AnswerError, CannotGoOnError, ReplayError, ReportError) as error:
        logging.getLogger("main").critical("%s", error)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
