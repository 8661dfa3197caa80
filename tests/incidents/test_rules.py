"""The rules of monitors, from the configuration and the maintenance windows."""

from monitor.config.model import Monitor, Window
from monitor.incidents.rules import MonitorRules, Rules, Sample


def monitor(name: str, **settings: object) -> Monitor:
    return Monitor.model_validate({"name": name, "url": "https://shop.example/", **settings})


def test_rules_are_those_of_the_configuration() -> None:
    rules = MonitorRules(
        [
            monitor("a", interval_s=15, failures_to_open=4, successes_to_resolve=5, quorum=6),
            monitor("b", window=Window(of=5, bad=3), notify={"degraded": True}),
        ]
    )

    assert rules.rules("a") == Rules(15, 4, 5, None, 6)
    assert rules.rules("b") == Rules(sample=Sample(5, 3), degraded=True)
    assert rules.rules("another process's") == Rules()


def test_windows_of_maintenance_are_worked_out_once_for_all_that_share_them() -> None:
    nightly = {"cron": "0 2 * * *", "duration_s": 3600}
    rules = MonitorRules(
        [monitor("a", maintenance=nightly), monitor("b", maintenance=[nightly]), monitor("c", maintenance=[])]
    )

    windows = rules.rules("a").windows
    assert windows is not None
    assert (windows.open_at(2 * 3600), windows.open_at(3 * 3600)) == (True, False)
    assert rules.rules("b").windows is windows
    assert rules.rules("c").windows is None


def test_a_monitor_is_watched_since_it_is_checked() -> None:
    now = 1.0
    rules = MonitorRules([monitor("a"), monitor("b", paused=True)], lambda: now)

    now = 2.0
    rules.follow([monitor("a", interval_s=5), monitor("b"), monitor("c")])
    now = 3.0
    rules.follow([monitor("b"), monitor("c", paused=True), monitor("a")])

    assert rules.checked_since == {"a": 1.0, "b": 2.0}
    assert rules.rules("c") == Rules()
