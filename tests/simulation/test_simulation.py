"""What is promised is kept, and each part of the rule is needed for it. The command has more seeds."""

import pytest

from tests.simulation.__main__ import ENOUGH, broken, main, report
from tests.simulation.engine import Engine
from tests.simulation.parts import PARTS, without
from tests.simulation.scenarios import SCENARIOS, Scenario

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=BY_NAME)
def test_what_is_promised_is_kept(scenario: Scenario) -> None:
    for seed in range(1, 4):
        assert list(broken(scenario, scenario.simulate(seed))) == []


@pytest.mark.parametrize("name", PARTS)
def test_each_part_of_the_rule_is_needed(name: str) -> None:
    scenario = BY_NAME[PARTS[name].shown_by]

    with without(name):
        found = any(list(broken(scenario, scenario.simulate(seed))) for seed in range(1, 60))
        assert found or report(scenario, range(1, 1 + ENOUGH))


def test_a_seed_decides_everything() -> None:
    scenario = SCENARIOS[0]

    assert scenario.simulate(7) == scenario.simulate(7)
    assert scenario.simulate(7) != scenario.simulate(8)


def test_a_broken_promise_is_printed_with_its_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "1", "--first", "3", "--only", "a kill amid", "--without", "each slot once"]) == 1

    printed = capsys.readouterr()
    assert "| a kill amid changes |" in printed.out
    assert "seed 3: " in printed.err


def test_a_promise_that_is_kept_is_exit_code_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "1", "--only", "a kill amid"]) == 0
    assert capsys.readouterr().err == ""


def test_what_happens_together_happens_in_the_order_in_which_it_was_due() -> None:
    engine, happened = Engine("", 0.0), []
    engine.at(2.0, lambda: happened.append("late"), due=1.5)
    engine.at(2.0, lambda: happened.append("early"), due=1.0)
    engine.at(1.0, lambda: happened.append("first"))
    engine.at(3.0, lambda: happened.append("never"))

    engine.run(2.5)

    assert happened == ["first", "early", "late"]
    assert engine.now == 2.5
