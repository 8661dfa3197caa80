import json
import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.runtime.log_lines import (
    MAX_LENGTH,
    JsonFormatter,
    LineFormatter,
    LineHandler,
    Seldom,
    has_colours,
)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def record(text: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("x", logging.INFO, __file__, 1, text, arguments, None)


def test_a_line_is_written_whole(pipe: tuple[int, int]) -> None:
    LineHandler(pipe[1], "ascii").emit(record("%s ü", "x" * 10_000))

    assert os.read(pipe[0], 100_000) == b"x" * 10_000 + b" \\xfc\n"


def test_a_file_takes_a_line_at_once(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+b") as file:
        LineHandler(file.fileno()).emit(record("x" * 100_000))
        file.seek(0)

        assert file.read() == b"x" * 100_000 + b"\n"


@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_a_file_that_is_shortened_goes_on_at_its_beginning(tmp_path: Path, mode: str) -> None:
    with (tmp_path / "log").open(mode) as file:
        handler = LineHandler(file.fileno())
        handler.emit(record("before"))
        os.truncate(tmp_path / "log", 0)
        handler.emit(record("after"))

    assert (tmp_path / "log").read_text() == "after\n"


def test_a_reader_who_stops_costs_lines_and_no_time(pipe: tuple[int, int]) -> None:
    handler = LineHandler(pipe[1], patience_s=1)
    began = time.monotonic()

    for _ in range(100):
        handler.emit(record("x" * 10_000))

    assert time.monotonic() - began < 50  # and not a second for each line
    while len(os.read(pipe[0], 1 << 20)) == 1 << 20:
        pass
    handler.emit(record("again"))
    handler.emit(record("and again"))
    read = os.read(pipe[0], 1 << 20).decode()
    assert read.splitlines()[1].endswith(" lines missed, since nobody read the log")
    assert read.splitlines()[2:] == ["again", "and again"]


def test_a_reader_who_is_gone_does_no_harm() -> None:
    reading, writing = os.pipe()
    os.close(reading)

    LineHandler(writing).emit(record("x"))

    os.close(writing)


def test_a_line_that_cannot_be_formatted_is_a_bug_that_is_shown(
    pipe: tuple[int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    LineHandler(pipe[1]).emit(record("%d", "no number"))

    assert "Logging error" in capsys.readouterr().err


def test_what_others_can_cause_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    seldom = Seldom(logging.getLogger("x"), lambda: now)

    for now in (0.0, 1.0, 59.0, 60.0, 61.0):
        seldom.log(logging.WARNING, "kind", f"at {now:g} s")
    seldom.log(logging.ERROR, "other", "another", ValueError("why"))

    assert caplog.messages == ["at 0 s", "at 60 s (2 more since the last such line)", "another"]
    assert "ValueError: why" in caplog.text


FORGED = "no\r\n2026-11-26 INFO all is well \x1b[2J\x9b1A\u202e\u2028 grüße"
SHOWN = r"no\r\n2026-11-26 INFO all is well \x1b[2J\x9b1A\u202e\u2028 grüße"


def test_an_event_is_one_printable_line() -> None:
    line = LineFormatter().format(record("%s", FORGED))

    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO (.*)", line, re.DOTALL)
    assert line.split(" INFO ", 1)[1] == SHOWN


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        (logging.DEBUG, "\x1b[2mDEBUG\x1b[0m"),
        (logging.INFO, "\x1b[32mINFO\x1b[0m"),
        (logging.WARNING, "\x1b[33mWARNING\x1b[0m"),
        (logging.ERROR, "\x1b[31mERROR\x1b[0m"),
        (logging.CRITICAL, "\x1b[1;31mCRITICAL\x1b[0m"),
        (35, "Level 35\x1b[0m"),
    ],
)
def test_a_level_has_its_colour(level: int, shown: str) -> None:
    event = logging.LogRecord("x", level, __file__, 1, FORGED, (), None)

    assert LineFormatter(has_colours=True).format(event).endswith(f" {shown} {SHOWN}")


@pytest.mark.parametrize(
    ("environ", "colours"),
    [
        ({}, True),
        ({"NO_COLOR": ""}, True),
        ({"NO_COLOR": "1"}, False),
        ({"TERM": "xterm"}, True),
        ({"TERM": "dumb"}, False),
    ],
)
def test_a_terminal_gets_colours_unless_its_user_wants_none(
    environ: dict[str, str], *, colours: bool
) -> None:
    ours, terminal = os.openpty()
    reading, writing = os.pipe()

    assert has_colours(terminal, environ) == colours
    assert not has_colours(writing, environ)

    for end in (ours, terminal, reading, writing):
        os.close(end)


def message_of(text: str) -> str:
    return LineFormatter().format(record(text)).split(" INFO ", 1)[1]


def test_a_line_has_an_end() -> None:
    assert message_of("x" * MAX_LENGTH) == "x" * MAX_LENGTH
    assert message_of("x" * MAX_LENGTH + "\n" * 1_000_000) == "x" * MAX_LENGTH + "…"
    assert len(message_of("\n" * 1_000_000)) == MAX_LENGTH + 1


def test_an_event_is_one_json_object_of_printable_texts() -> None:
    event = logging.LogRecord("monitor.x", logging.WARNING, __file__, 1, "%s \ud800", (FORGED,), None)
    event.created = 1_795_570_280.4206345

    line = JsonFormatter().format(event)

    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == {
        "time": "2026-11-25T01:31:20.420+00:00",
        "level": "warning",
        "logger": "monitor.x",
        "message": rf"{SHOWN} \ud800",
    }


def test_an_exception_is_in_the_json_object_of_its_event() -> None:
    with pytest.raises(ValueError, match="no") as raised:
        fail("no\x1b[2J\nfake")
    about = (raised.type, raised.value, raised.tb)
    event = logging.LogRecord("x", logging.ERROR, __file__, 1, "a bug", (), about)

    (line,) = JsonFormatter().format(event).splitlines()

    read = json.loads(line)
    assert read["message"] == "a bug"
    assert read["exception"].splitlines()[0] == "Traceback (most recent call last):"
    assert read["exception"].splitlines()[-2:] == ["ValueError: no\\x1b[2J", "fake"]


def test_lines_that_were_missed_are_an_event_too(pipe: tuple[int, int]) -> None:
    handler = LineHandler(pipe[1], patience_s=0.01)
    handler.setFormatter(JsonFormatter())
    for _ in range(100):
        handler.emit(record("x" * MAX_LENGTH))
    while len(os.read(pipe[0], 1 << 20)) == 1 << 20:
        pass

    handler.emit(record("again"))

    missed, again = map(json.loads, os.read(pipe[0], 1 << 20).decode().split("\n")[1:-1])
    assert missed["level"] == "warning"
    assert missed["message"].endswith(" lines missed, since nobody read the log")
    assert again["message"] == "again"


def fail(why: str) -> None:
    raise ValueError(why)


def test_a_traceback_keeps_its_lines_and_each_is_printable() -> None:
    with pytest.raises(ValueError, match="x") as raised:
        fail("no\x1b[2J " + "x" * 20_000)
    about = (raised.type, raised.value, raised.tb)
    event = logging.LogRecord("x", logging.ERROR, __file__, 1, "a bug", (), about)

    lines = LineFormatter().format(event).split("\n")

    assert lines[0].endswith(" ERROR a bug")
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1].startswith("ValueError: no\\x1b[2J xxx")
    assert all(line.isprintable() and len(line) <= MAX_LENGTH + 1 for line in lines)
