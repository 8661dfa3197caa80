import math
from dataclasses import replace

import pytest

from monitor.schedule import offset_s
from tests.hostile.__main__ import SHORT, all_cases, main, options
from tests.hostile.cases import SECRET, Case, Web
from tests.hostile.clients import statuses
from tests.hostile.judging import Row, Seen, late, lateness_s, reasons, unprintable, verdict
from tests.sites import hang

SITE = Case("body", "stops", script=hang, expected=("body_timeout", "disconnected"))
SHOP = offset_s("shop", 1.0)


def row(reason: str | None = "body_timeout", *, has_secret: bool = False) -> Row:
    return Row("body: stops", None, reason is None, reason, 100.0, 100.0, 101.0, has_secret)


def checked(*late_s: float, left_out: int = -1) -> list[Row]:
    """Return the rows of a shop whose slots from second 100 on were used so late."""
    return [
        row(None)._replace(
            monitor="shop", scheduled_at=100 + second + SHOP, started_at=100 + second + SHOP + late
        )
        for second, late in enumerate(late_s)
        if second != left_out
    ]


GOOD = Seen(100.0, 104.0, hostile=[row()], memory_mb=100, printed="a line\nof the log\n")


def test_each_slot_in_the_window_is_looked_at() -> None:
    seen = Seen(100.0, 104.0, checked(0.01, 0.02, 0.3, 0.04, 9, left_out=1))

    assert lateness_s(seen, ["shop"]) == pytest.approx([0.01, math.inf, 0.3, 0.04])


def test_a_slot_may_be_as_late_as_in_the_bare_run_and_as_the_machine_was_busy() -> None:
    assert replace(GOOD, starved_s=2.0).allowed_s(0.5) == 2.6
    assert late([0.1, 0.2, 0.3], 0.2, monitors=1) == 1


def test_slots_that_were_left_out_are_late_unless_the_machine_was_busy_for_as_long() -> None:
    lateness = [0.0, math.inf, math.inf, math.inf, math.inf]

    assert late(lateness, 0.9, monitors=2) == 4
    assert late(lateness, 1.5, monitors=2) == 2
    assert late(lateness, 2.0, monitors=2) == 0


def test_a_window_in_which_nothing_was_wrong_is_well() -> None:
    assert verdict(SITE, GOOD, 0) == []
    assert verdict(SITE, replace(GOOD, hostile=[row("disconnected")]), 0) == []


@pytest.mark.parametrize(
    ("seen", "late_slots", "wrong"),
    [
        (GOOD, 2, "2 slots late"),
        (replace(GOOD, turn_s=0.25), 0, "a turn of 0.25 s"),
        (replace(GOOD, memory_mb=301), 0, "301 MB"),
        (replace(GOOD, lost=1), 0, "1 rows missing"),
        (replace(GOOD, doubled=1), 0, "1 rows doubled"),
        (replace(GOOD, printed="Traceback (most recent call last)"), 0, "a traceback"),
        (replace(GOOD, printed=SECRET), 0, "a secret in the log"),
        (replace(GOOD, printed="a\x1b[2J"), 0, r"the log has '\x1b'"),
        (replace(GOOD, hostile=[row(has_secret=True)]), 0, "a secret in a row"),
        (replace(GOOD, hostile=[row(), row(None)]), 0, "not body_timeout or disconnected"),
        (replace(GOOD, hostile=[row()._replace(up=None)]), 0, "not body_timeout or disconnected"),
        (replace(GOOD, hostile=[]), 0, "no result"),
        (replace(GOOD, trouble=["it hangs"]), 0, "it hangs"),
    ],
)
def test_each_thing_that_is_wrong_is_named(seen: Seen, late_slots: int, wrong: str) -> None:
    assert verdict(SITE, seen, late_slots) == [wrong]


def test_a_client_has_no_results() -> None:
    assert verdict(Case("client", "x"), replace(GOOD, hostile=[]), 0) == []


def test_unprintable_characters_are_named_once() -> None:
    assert unprintable("\x1b a \x1b \x00 é\n") == r"'\x00' '\x1b'"
    assert unprintable("all is well\n") == ""


def test_reasons_are_named_once() -> None:
    assert reasons([row(), row(), row(None)]) == "body_timeout, up"
    assert reasons([]) == "-"


def test_statuses_are_those_of_all_answers() -> None:
    assert statuses(b"HTTP/1.1 200 OK\r\n\r\nokHTTP/1.1 999 no\r\n") == [200]
    assert statuses(b"HTTP/1.1 200 OK\r\n\r\nok\nHTTP/1.1 404 no\r\n") == [200, 404]


def test_cases_have_names_of_their_own_that_monitors_may_have() -> None:
    cases = all_cases()

    assert set(SHORT) <= set(cases)
    assert all(name.isprintable() and len(name) <= 200 for name in cases)
    assert all((case.has_results or case.client or case.act or case.damage) for case in cases.values())


async def test_the_cases_and_their_number_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert await main(["--list", "--only", "half a head"]) == 0

    *names, number = capsys.readouterr().out.splitlines()
    assert "client: half a head, 200 times" in names
    assert number == f"{len(names)} cases"


def test_by_default_each_case_takes_four_seconds() -> None:
    chosen = options([])

    assert (chosen.only, chosen.seconds, chosen.short) == ("", 4, False)
    assert Web("127.0.0.1", 1).port == 1
