import json
import os
import subprocess
import sys

import pytest

from monitor.cli import main, parser, print_table
from monitor.result import CheckResult, Reason, result_id
from monitor.version import VERSION
from tests.program import ROOT


def result(name: str, *, up: bool | None, reason: Reason | None = None, why: str = "why") -> CheckResult:
    return CheckResult(
        timestamp=1.0,
        response_data="",
        response_status=200 if up else None,
        response_time=0.5,
        id=result_id("here", name, 1.0),
        monitor=name,
        url="http://a.test/",
        location="here",
        scheduled_at=1.0,
        up=up,
        reason=reason,
        detail=None if reason is None else why,
    )


def test_each_monitor_is_up_down_or_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(
        [
            result("c", up=None, reason=Reason.MONITOR_OFFLINE),
            result("a", up=True),
            result("b", up=False, reason=Reason.STATUS),
        ]
    )

    cells = [line.split("│")[1:6] for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert [[each.strip() for each in row] for row in cells] == [
        ["a", "up", "200", "0.500 s", ""],
        ["b", "down", "-", "0.500 s", "why"],
        ["c", "unknown", "-", "0.500 s", "why"],
    ]


def test_nothing_in_the_table_is_obeyed_by_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([result("a\x1bb", up=False, reason=Reason.STATUS, why="no\x1b[2J\x9b")])

    printed = capsys.readouterr().out
    assert r"a\x1bb" in printed
    assert r"no\x1b[2J\x9b" in printed
    assert printed.replace("\n", "").isprintable()


CRASH = """
from monitor.cli import log_to_stderr
log_to_stderr("info", "{}")
raise ValueError("\\x1b[2J")
"""


def test_a_bug_ends_the_program_with_a_traceback_that_no_terminal_obeys() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CRASH.format("text")], capture_output=True, text=True, check=False
    )

    lines = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert lines[0].endswith(" CRITICAL this is a bug, and ends the program")
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == r"ValueError: \x1b[2J"


def test_a_bug_is_one_json_object_where_the_log_is_json() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CRASH.format("json")], capture_output=True, text=True, check=False
    )

    event = json.loads(ended.stderr)
    assert event["level"] == "critical"
    assert event["exception"].splitlines()[0] == "Traceback (most recent call last):"
    assert event["exception"].splitlines()[-1] == r"ValueError: \x1b[2J"


@pytest.mark.parametrize(
    ("environ", "level"),
    [({"TERM": "xterm"}, "\x1b[32mINFO\x1b[0m"), ({"TERM": "xterm", "NO_COLOR": "1"}, "INFO")],
)
def test_levels_have_colours_on_a_terminal(environ: dict[str, str], level: str) -> None:
    ours, terminal = os.openpty()
    command = 'import logging; from monitor.cli import *; log_to_stderr("info", "text"); logging.info("x")'

    subprocess.run([sys.executable, "-c", command], stderr=terminal, env=environ, cwd=ROOT, check=True)

    assert os.read(ours, 1_000).decode().endswith(f" {level} x\r\n")
    os.close(ours)
    os.close(terminal)


def test_each_option_is_explained() -> None:
    unexplained = [action.option_strings for action in parser()._actions if not action.help]

    assert unexplained == []


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])

    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{VERSION}\n"


def test_the_package_is_the_program() -> None:
    command = [sys.executable, "-m", "monitor", "--version"]

    assert subprocess.check_output(command, cwd=ROOT, text=True) == f"{VERSION}\n"


@pytest.mark.parametrize(
    ("arguments", "mistake"),
    [
        (["--within", "5"], "--within is for --once"),
        (["--once", "--within", "0"], "argument --within: invalid seconds value: '0'"),
        (["--once", "--within", "inf"], "argument --within: invalid seconds value: 'inf'"),
        (["--once", "--within", "nan"], "argument --within: invalid seconds value: 'nan'"),
        (["--once", "--within", "soon"], "argument --within: invalid seconds value: 'soon'"),
    ],
)
def test_a_mistake_in_the_time_limit_ends_in_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], mistake: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(f"error: {mistake}\n")
