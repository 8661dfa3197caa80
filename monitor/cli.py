"""The command line: what the program is asked to do, and what it prints on stdout."""

import argparse
import asyncio
import json
import logging
import math
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType

from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from rich.text import Text
from uvloop import new_event_loop

from monitor.alerts.channels.channels import Channels
from monitor.alerts.channels.trial import try_channels
from monitor.config.alerts import Webhook
from monitor.config.model import Config
from monitor.config.reading.load import ConfigError, load
from monitor.config.reading.mistakes import line
from monitor.config.rules import EMBEDDED
from monitor.config.show import shown
from monitor.delivery.replay import ReplayError, replay_dead_letters
from monitor.embedded.account import EmbeddedError
from monitor.embedded.postgres import postgres, running_uri
from monitor.incidents.rules import MonitorRules
from monitor.result import CheckResult, why
from monitor.runtime.log_lines import JsonFormatter, LineFormatter, LineHandler, has_colours
from monitor.runtime.process import resources
from monitor.runtime.process.data_dir import DataDirError, locked
from monitor.runtime.process.event_loop import shorten_pauses
from monitor.runtime.process.signals import Signals
from monitor.runtime.text import counted, printable
from monitor.service import CannotGoOnError, check_once, no_bugs, serve
from monitor.storage.database import Database, StoreUnavailableError
from monitor.storage.migrate import SchemaError
from monitor.uptime.accounts import accounts
from monitor.uptime.report import FORMATS, ReportRow, full_hours, rows, written
from monitor.version import VERSION
from monitor.web.server import WebError

_UP = {True: Text("up", "green"), False: Text("down", "red"), None: Text("unknown", "yellow")}
_STANDARD_STREAMS = 3
_WITHIN_S = 60.0
_STDERR = 2

_log = logging.getLogger(__name__)


def main(argv: Sequence[str]) -> int:
    """Do what the command line asks for; return the exit code."""
    occupy_standard_streams()
    options = arguments(argv)
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL if options.once else signal.default_int_handler)
        config = load(options.config, os.environ)
        if options.check_config or options.show:
            with answer():
                print(about(config, options))  # noqa: T201 - the answer
            return 0
        return run(config, options)
    except ConfigError as error:
        print(*error.mistakes, sep="\n", file=sys.stderr)  # noqa: T201 - before logging is set up
        return 2
    except KeyboardInterrupt:  # before `Signals` are there, or at a command that has none
        return 1 if is_command(options) else 0
    except (CannotGoOnError, ReplayError, WebError) as error:
        _log.critical("%s", error)
        return 1


def is_command(options: argparse.Namespace) -> bool:
    """Return whether something else is asked for than to run everything until it is stopped."""
    asked = options.check_config, options.show, options.once, options.report, options.replay_dead_letters
    return any(asked) or options.test_alerts is not None


def about(config: Config, options: argparse.Namespace) -> str:
    """Return what is to be said about a valid configuration."""
    if options.show:
        return json.dumps(shown(config), indent=2)
    return f"{options.config}: valid, {counted(len(config.monitors), 'monitor')}"


def occupy_standard_streams() -> None:
    """Keep the numbers of standard streams that were closed from other files: uvloop aborts on such ones."""
    while (number := os.open(os.devnull, os.O_RDWR)) < _STANDARD_STREAMS:
        pass
    os.close(number)


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line; a mistake in it ends the program with exit code 2."""
    reader = parser()
    options = reader.parse_args(argv)
    if mistake := within_mistake(options) or period_mistake(options):
        reader.error(mistake)
    return options


def parser() -> argparse.ArgumentParser:
    """Return what knows every option."""
    parser = argparse.ArgumentParser(
        description="Checks websites and keeps every result, until it is stopped.",
    )
    parser.add_argument("--version", action="version", version=VERSION, help="print the version")
    parser.add_argument(
        "--config",
        type=Path,
        default=Path("config.json"),
        metavar="PATH",
        help="the configuration file (config.json of the working directory)",
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check-config", action="store_true", help="only validate the configuration")
    mode.add_argument(
        "--show", action="store_true", help="print the configuration with all defaults, without secrets"
    )
    mode.add_argument("--once", action="store_true", help="check every monitor once and print a table")
    mode.add_argument(
        "--replay-dead-letters",
        action="store_true",
        help="send <kafka_topic>.dead through <kafka_topic> again",
    )
    mode.add_argument("--report", action="store_true", help="print the uptime of each monitor")
    mode.add_argument(
        "--test-alerts",
        nargs="?",
        const=True,
        metavar="CHANNEL",
        help="send a test message to this channel, or to all, and print what became of it",
    )
    parser.add_argument(
        "--within",
        type=seconds,
        metavar="SECONDS",
        help=f"of --once: give up after so long, exit with 1 and say what is where ({_WITHIN_S:g})",
    )
    period = parser.add_argument_group(
        "of a report", "dates or instants of ISO 8601, in UTC where they have no time zone"
    )
    period.add_argument("--since", type=instant, metavar="WHEN", help="its start; whole hours are counted")
    period.add_argument("--until", type=instant, metavar="WHEN", help="its end")
    period.add_argument("--format", choices=FORMATS, default="table", help="table by default")
    return parser


def seconds(text: str) -> float:
    """Return a duration that is longer than nothing and has an end.

    Raises:
        ValueError: it is none.

    """
    read = float(text)
    if not 0 < read < math.inf:
        raise ValueError
    return read


def within_mistake(options: argparse.Namespace) -> str | None:
    """Return what is wrong with the time limit, if anything."""
    return None if options.once or options.within is None else "--within is for --once"


def instant(text: str) -> float:
    """Return a date or an instant of ISO 8601 in Unix seconds; without a time zone, it is one of UTC.

    Raises:
        ValueError: it is neither.

    """
    read = datetime.fromisoformat(text)
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


def period_mistake(options: argparse.Namespace) -> str | None:
    """Return what is wrong with the period of a report, if anything."""
    given = [options.since, options.until]
    if not options.report:
        return None if given == [None, None] else "--since and --until are for --report"
    if None in given:
        return "--report needs --since and --until"
    return (
        None if options.since < min(options.until, time.time()) else "--since must be before --until and now"
    )


def run(config: Config, options: argparse.Namespace) -> int:
    """Run the command with a valid configuration to its end; return the exit code."""
    log_to_stderr(config.log_level, config.log_format)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        if options.once:
            resources.raise_file_limit()
            within_s = options.within or _WITHIN_S
            results = runner.run(check_once(config, options.config, os.environ, within_s))
            with answer():
                print_table(results)
            unchecked = sum(not monitor.paused for monitor in config.monitors) - len(results)
            return 0 if not unchecked and all(result.up for result in results) else 1
        if options.test_alerts is not None:
            chosen = chosen_channels(config, options)
            trials = runner.run(try_channels(Channels(lambda: chosen), chosen, config.location))
            with answer():
                print(*(printable(str(trial)) for trial in trials), sep="\n")  # noqa: T201 - the answer
            return 0 if all(trial.error is None for trial in trials) else 1
        if options.report or options.replay_dead_letters:
            draw = runner.run(_text(config, options))
            with answer():
                print(draw(), end="")  # noqa: T201 - the answer
            return 0
        resources.raise_file_limit()
        shorten_pauses()
        runner.run(serve(config, options.config, os.environ))
        return 0


def chosen_channels(config: Config, options: argparse.Namespace) -> Mapping[str, SecretStr | Webhook]:
    """Return the channels that are to be tried.

    Raises:
        ConfigError: the configuration has no such channel, or none at all.

    """
    channels = config.alerts.channels
    chosen = channels if options.test_alerts is True else {options.test_alerts}
    unknown = [
        f'no channel "{name}"; known are {", ".join(channels)}' for name in chosen if name not in channels
    ]
    if unknown or not channels:
        mistake = unknown[0] if channels else "no channel; must be at least one"
        raise ConfigError([line(options.config, ("alerts", "channels"), mistake)])
    return {name: channels[name] for name in chosen}


async def _text(config: Config, options: argparse.Namespace) -> Callable[[], str]:
    """Return what makes the text to print: rich looks at stdout while it draws."""
    if options.report:
        return partial(written, await report(config, options.since, options.until), options.format)
    return partial("{}\n".format, await replay_dead_letters(config, Signals().end))


async def report(config: Config, since: float, until: float) -> list[ReportRow]:
    """Return a row for each monitor, for the full hours that the time range touches, up to now.

    Raises:
        CannotGoOnError: the database is unavailable, or not this program's.

    """
    start, end = full_hours(since, until, time.time())
    rules = MonitorRules(config.monitors)
    with no_bugs(EmbeddedError, SchemaError, StoreUnavailableError, what="no report: "):
        async with _database(config) as database:
            async with database.transaction() as connection:
                await rules.read_windows(connection)
            found = await accounts(database, start, end, lambda name: rules.rules(name).windows)
    return rows(found, (monitor.name for monitor in config.monitors), start, end)


@asynccontextmanager
async def _database(config: Config) -> AsyncIterator[Database]:
    """Use the configured database; start an embedded one, unless the running program has it."""
    uri = config.pg_uri.get_secret_value()
    async with AsyncExitStack() as resources:
        if uri == EMBEDDED:
            try:
                resources.enter_context(locked(config.data_dir))
            except DataDirError:
                uri = running_uri(config.data_dir)
            else:
                uri = await resources.enter_async_context(postgres(config.data_dir))
        database = Database(uri)
        resources.push_async_callback(database.close)
        yield database


def log_to_stderr(level: str, log_format: str) -> None:
    """Log one line an event; what libraries log of their own troubles, the stages log with more reason."""
    handler = LineHandler(_STDERR, getattr(sys.stderr, "encoding", "utf-8"))
    is_json = log_format == "json"
    handler.setFormatter(
        JsonFormatter() if is_json else LineFormatter(has_colours=has_colours(_STDERR, os.environ))
    )
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    sys.excepthook = _log_bug


def _log_bug(kind: type[BaseException], bug: BaseException, trace: TracebackType | None) -> None:
    """Log the traceback that Python would write as it is, to a reader whom it would wait for."""
    _log.critical("this is a bug, and ends the program", exc_info=(kind, bug, trace))


def print_table(results: Iterable[CheckResult]) -> None:
    """Print one row for each result: whether the monitor is up, the code, the time, the reason."""
    table = Table("monitor", "up", "code", "time", "reason")
    for result in sorted(results, key=lambda each: each.monitor):
        table.add_row(
            Text(printable(result.monitor)),
            _UP[result.up],
            str(result.response_status or "-"),
            f"{result.response_time:.3f} s",
            Text(printable(why(result.reason, result.detail))),
        )
    Console().print(table)


@contextmanager
def answer() -> Iterator[None]:
    """Send what is printed in this context to stdout, which may be full, gone, or short of characters.

    A character that stdout does not know is escaped.

    Raises:
        CannotGoOnError: stdout does not take it.

    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        yield
        print(end="", flush=True)  # noqa: T201 - what is written may not have arrived
    except OSError as error:
        # Python writes what is left once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise CannotGoOnError(f"the answer cannot be printed: {error.strerror}") from error
