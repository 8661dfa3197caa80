import asyncio
import json
import math
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from monitor.config.alerts import Maintenance, Notify
from monitor.config.expect import Expect
from monitor.config.model import Config, Monitor, MonitorSettings, Window, WrittenConfig
from monitor.config.public_url import Expanded
from monitor.config.reading.load import load
from monitor.config.steps.step import Step
from monitor.probe.all_addresses import AddressesProbe
from monitor.probe.connectivity import GuardedProbe
from monitor.probe.exchange.connector import Network
from monitor.probe.probe import Probe
from monitor.probe.steps.probe import StepsProbe
from monitor.reload import Difference, Reload, difference
from monitor.runtime.process.signals import Signals
from tests.clock import NeverWaiting
from tests.test_schedule import make_schedule

LOOPS = {"never waiting": NeverWaiting}

SHOP = Monitor(name="shop", url="https://shop.example/")
BLOG = Monitor(name="blog", url="https://blog.example/")


def test_nothing_differs_from_itself() -> None:
    assert difference(Config(monitors=(SHOP, BLOG)), Config(monitors=(BLOG, SHOP))) == Difference((), (), ())


def test_monitors_come_and_go() -> None:
    found = difference(Config(monitors=(SHOP,)), Config(monitors=(BLOG,)))

    assert found == Difference(removed=("shop",), added=(BLOG,), needs_restart=())


def test_a_monitor_that_changed_goes_and_comes() -> None:
    slower = SHOP.model_copy(update={"interval_s": 120.0})

    found = difference(Config(monitors=(SHOP, BLOG)), Config(monitors=(slower, BLOG)))

    assert found == Difference(removed=("shop",), added=(slower,), needs_restart=())


def test_a_url_that_is_shown_otherwise_is_a_change() -> None:
    secret = SHOP.model_copy(update={"url": Expanded(SHOP.url, ((8, 12),))})

    found = difference(Config(monitors=(SHOP,)), Config(monitors=(secret,)))

    assert found.removed == ("shop",)


def test_a_secret_that_came_from_elsewhere_is_a_change() -> None:
    literal, expanded = (
        SHOP.model_copy(update={"headers": {"Accept": SecretStr(text)}})
        for text in ("text/html", Expanded("text/html", ((5, 9),)))
    )

    assert difference(Config(monitors=(literal,)), Config(monitors=(expanded,))).added == (expanded,)


def test_keys_that_need_a_restart_are_named() -> None:
    old = Config(monitors=(SHOP,))
    new = Config(
        monitors=(SHOP,), pg_uri=SecretStr("postgres://db/"), data_dir=Path("elsewhere"), log_level="debug"
    )

    assert difference(old, new) == Difference((), (), ("pg_uri", "data_dir"))


def test_histograms_end_without_a_restart() -> None:
    new = Config(monitors=(SHOP,), metrics_histograms="none")

    assert difference(Config(monitors=(SHOP,)), new) == Difference((), (), ())


def test_modules_and_their_targets_need_no_restart() -> None:
    new = Config(monitors=(SHOP,), modules={"http_2xx": MonitorSettings()}, probe_targets=("*",))

    assert difference(Config(monitors=(SHOP,)), new) == Difference((), (), ())


def test_what_own_connectivity_is_checked_by_changes_no_monitor_and_needs_no_restart() -> None:
    new = Config(monitors=(SHOP,), connectivity_check="1.1.1.1:53")

    assert difference(Config(monitors=(SHOP,)), new) == Difference((), (), ())


def test_a_monitor_that_asks_other_dns_servers_or_other_addresses_is_a_change() -> None:
    for key, value in (
        ("resolver", ("9.9.9.9:53",)),
        ("addresses", "all"),
        ("deny_addresses", ("private",)),
    ):
        changed = SHOP.model_copy(update={key: value})

        assert difference(Config(monitors=(SHOP,)), Config(monitors=(changed,))).added == (changed,)


async def test_each_monitor_gets_the_checker_that_it_needs(tmp_path: Path) -> None:
    step = Step(name="first", url=SHOP.url)
    monitors = (
        SHOP,
        SHOP.model_copy(update={"addresses": "all"}),
        SHOP.model_copy(update={"steps": (step,)}),
        SHOP.model_copy(update={"paused": True}),
    )
    async with Network(1) as network:
        reload = Reload(Config(monitors=monitors), tmp_path, {}, network)
        checkers = [checker for _, checker in reload.checkers(monitors)]

        assert [type(each._checker) for each in checkers if isinstance(each, GuardedProbe)] == [
            Probe,
            AddressesProbe,
            StepsProbe,
        ]


async def test_a_change_of_the_file_is_taken_within_2_s(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")  # the reload sets it too, and the test's end sets it back
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"url_to_monitor": SHOP.url, "defaults": {"paused": True}}))
    loop = asyncio.get_running_loop()
    taken = asyncio.Event()
    async with Network(1) as network, make_schedule(asyncio.Queue()) as schedule:
        reload = Reload(load(path, {}), path, {}, network, on_taken=[lambda _: taken.set()])
        await reload.look(schedule, now=False)
        following = asyncio.create_task(reload.follow(schedule, Signals()))
        await asyncio.sleep(60.1)
        changed_at = loop.time()

        path.write_text(json.dumps({"url_to_monitor": BLOG.url, "defaults": {"paused": True}}))
        await taken.wait()

        assert loop.time() - changed_at <= 2
        following.cancel()


async def test_a_file_that_takes_long_to_read_does_not_delay_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, goes_on = threading.Event(), threading.Event()

    def slow(*_: object) -> Config:
        begun.set()
        goes_on.wait(60)
        return Config(monitors=(SHOP,))

    monkeypatch.setattr("monitor.reload.load", slow)
    taken: list[Config] = []
    async with Network(1) as network, make_schedule(asyncio.Queue()) as schedule:
        reload = Reload(Config(monitors=()), tmp_path / "config.json", {}, network, on_taken=[taken.append])
        following = asyncio.create_task(reload.follow(schedule, Signals()))
        try:
            await asyncio.to_thread(begun.wait)
            os.kill(os.getpid(), signal.SIGTERM)
            await following
        finally:
            goes_on.set()

    assert taken == []


async def test_a_file_that_stays_as_it_is_is_taken_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"url_to_monitor": SHOP.url, "defaults": {"paused": True}}))
    taken: list[Config] = []
    async with Network(1) as network, make_schedule(asyncio.Queue()) as schedule:
        reload = Reload(Config(monitors=()), path, {}, network, on_taken=[taken.append])

        for _ in range(3):
            await reload.look(schedule, now=False)

    assert [[monitor.url for monitor in config.monitors] for config in taken] == [[SHOP.url]]


async def test_a_named_pipe_as_the_file_is_a_mistake_and_a_later_file_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"url_to_monitor": SHOP.url, "defaults": {"paused": True}}))
    async with Network(1) as network, make_schedule(asyncio.Queue()) as schedule:
        reload = Reload(load(path, {}), path, {}, network)
        path.unlink()
        os.mkfifo(path)
        await reload.look(schedule, now=True)
        with_pipe = reload.last_successful
        path.unlink()
        path.write_text(json.dumps({"url_to_monitor": BLOG.url, "defaults": {"paused": True}}))
        await reload.look(schedule, now=False)

    assert (with_pipe, reload.last_successful) == (False, True)
    assert f"configuration not taken: {path}: a named pipe, not a regular file" in caplog.messages


async def test_a_file_that_is_away_for_two_looks_is_a_mistake_until_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"url_to_monitor": SHOP.url, "defaults": {"paused": True}}))
    away = path.with_suffix(".away")
    seen = []
    async with Network(1) as network, make_schedule(asyncio.Queue()) as schedule:
        reload = Reload(load(path, {}), path, {}, network)
        for source, target in (
            (path, away),
            (away, path),
            (path, away),
            (away, away),
            (away, away),
            (away, path),
        ):
            source.rename(target)
            await reload.look(schedule, now=False)
            seen.append(reload.last_successful)

    assert seen == [True, True, True, False, False, True]
    assert len([line for line in caplog.messages if line.startswith("configuration not taken: ")]) == 1


def names_of(taken: list[Config]) -> list[list[str]]:
    return [[monitor.name for monitor in config.monitors] for config in taken]


async def test_included_files_are_read_again_when_one_changes_comes_or_goes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path, a, b = tmp_path / "config.json", tmp_path / "a.part", tmp_path / "b.part"
    taken: list[Config] = []

    def part(*names: str) -> str:
        monitors = [{"name": name, "url": SHOP.url, "paused": True} for name in names]
        return json.dumps({"monitors": monitors})

    path.write_text(json.dumps({"include": "*.part"}))
    a.write_text(part("a"))
    async with Network(1) as network, make_schedule(asyncio.Queue()) as schedule:
        reload = Reload(load(path, {}), path, {}, network, on_taken=[taken.append])

        async def look() -> None:
            await reload.look(schedule, now=False)

        await look()
        a.write_text(part("a", "a2"))
        await look()
        b.write_text(part("b"))
        await look()
        a.unlink()
        await look()
        before_the_second_look = len(taken)
        await look()
        await look()

    assert names_of(taken) == [["a", "a2"], ["a", "a2", "b"], ["b"]]
    assert before_the_second_look == 2


async def test_files_of_an_include_that_is_new_are_watched_even_if_they_have_mistakes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path, part = tmp_path / "config.json", tmp_path / "a.part"
    taken: list[Config] = []
    path.write_text(json.dumps({"url_to_monitor": SHOP.url, "defaults": {"paused": True}}))
    part.write_text("{")
    async with Network(1) as network, make_schedule(asyncio.Queue()) as schedule:
        reload = Reload(load(path, {}), path, {}, network, on_taken=[taken.append])
        await reload.look(schedule, now=False)

        path.write_text(json.dumps({"include": "*.part", "defaults": {"paused": True}}))
        await reload.look(schedule, now=False)
        refused = reload.last_successful
        part.write_text(json.dumps({"monitors": [{"name": "a", "url": SHOP.url}]}))
        for _ in range(3):
            await reload.look(schedule, now=False)

    assert not refused
    assert names_of(taken) == [["a"]]


async def test_a_new_include_is_taken_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "config.json"
    taken: list[Config] = []
    path.write_text(json.dumps({"url_to_monitor": SHOP.url, "defaults": {"paused": True}}))
    (tmp_path / "a.part").write_text(json.dumps({"monitors": [{"name": "a", "url": SHOP.url}]}))
    async with Network(1) as network, make_schedule(asyncio.Queue()) as schedule:
        reload = Reload(load(path, {}), path, {}, network, on_taken=[taken.append])
        await reload.look(schedule, now=False)

        path.write_text(json.dumps({"include": "*.part", "defaults": {"paused": True}}))
        for _ in range(3):
            await reload.look(schedule, now=False)

    assert names_of(taken) == [["a"]]


ODD: list[float | None] = [2**63, 2**64, -(2**64), 10**400, 1e308, -1e308, 5e-324, -0.0, 0, -1, 0.5, 4.0]
ODD += [True, None, math.nan, math.inf, -math.inf]
PLACES: dict[tuple[str, ...], Any] = {
    (): WrittenConfig,
    ("defaults",): MonitorSettings,
    ("defaults", "expect"): Expect,
    ("defaults", "window"): Window,
    ("defaults", "notify"): Notify,
    ("defaults", "maintenance"): Maintenance,
}


@pytest.mark.timeout(600)
async def test_no_number_in_any_place_ends_the_program_at_its_start_or_at_a_reload(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "config.json"
    start = {"url_to_monitor": SHOP.url, "web_port": None}
    refused = 0
    async with Network(1) as network, make_schedule(asyncio.Queue()) as schedule:
        for place, model in PLACES.items():
            for key in {*model.model_fields} - {"schema_", "url_to_monitor", "log_level"}:
                for number in ODD:
                    document: dict[str, Any] = {**start, "defaults": {"paused": True}}
                    inner = document
                    for step in place:
                        inner = inner.setdefault(step, {})
                    inner[key] = number
                    path.write_text(json.dumps(document))

                    reload = Reload(Config(monitors=()), path, {}, network)
                    await reload.look(schedule, now=True)
                    refused += not reload.last_successful

    assert refused > 1_000
