"""In a few seeds, no slot is missing, and the simulation notices one that is. The command has more seeds."""

from collections.abc import Iterator

import pytest

from tests.simulation.__main__ import broken, main
from tests.simulation.engine import Engine
from tests.simulation.process import virtual_time
from tests.simulation.scenarios import SCENARIOS, Scenario

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


@pytest.fixture
def _virtual_time() -> Iterator[None]:
    with virtual_time():
        yield


@pytest.mark.usefixtures("_virtual_time")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=BY_NAME)
def test_no_slot_is_missing(scenario: Scenario) -> None:
    for seed in range(1, 4):
        assert list(broken(scenario.simulate(seed))) == []


@pytest.mark.usefixtures("_virtual_time")
@pytest.mark.parametrize("name", ["a kill", "a freeze of 3 to 30 s"])
def test_without_a_look_back_slots_are_missing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.sharing.LOOK_BACK_S", 0.0)
    monkeypatch.setattr("monitor.schedule.LOOK_BACK_S", 0.0)

    assert any(BY_NAME[name].simulate(seed).missing for seed in range(1, 60))


@pytest.mark.usefixtures("_virtual_time")
def test_while_nothing_happens_each_slot_is_run_once() -> None:
    account = Scenario("nothing", lambda _: None).simulate(1)

    assert set(account.times) == {1}
    assert account.taken_over_s == []


@pytest.mark.usefixtures("_virtual_time")
def test_a_seed_decides_everything() -> None:
    scenario = SCENARIOS[0]

    assert scenario.simulate(7) == scenario.simulate(7)
    assert scenario.simulate(7) != scenario.simulate(8)


def test_a_broken_promise_is_printed_with_its_seed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.sharing.LOOK_BACK_S", 0.0)

    assert main(["--seeds", "2", "--first", "3", "--only", "two kills"]) == 1

    printed = capsys.readouterr()
    assert "| two kills within 12 s |" in printed.out
    assert "seed 3: " in printed.err


def test_a_promise_that_is_kept_is_exit_code_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "1", "--only", "a restart"]) == 0
    assert capsys.readouterr().err == ""


def test_what_happens_together_happens_in_the_order_in_which_it_was_put_in() -> None:
    engine, happened = Engine("", 0.0), []
    engine.at(2.0, lambda: happened.append("second"))
    engine.at(2.0, lambda: happened.append("third"))
    engine.at(1.0, lambda: happened.append("first"))
    engine.at(3.0, lambda: happened.append("never"))

    engine.run(2.5)

    assert happened == ["first", "second", "third"]
    assert engine.now == 2.5
