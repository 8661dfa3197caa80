import logging
from typing import Any

import pytest

from monitor.config.model import Config, Monitor
from monitor.result_log import ResultLog


def config(monitors: int, **settings: Any) -> Config:
    every = tuple(Monitor(name=f"m{number}", url="https://a.example/") for number in range(monitors))
    return Config(monitors=every, **settings)


def levels(result_log: ResultLog, caplog: pytest.LogCaptureFixture) -> list[str]:
    """The levels at which the two lines of a result are logged now."""
    caplog.clear()
    result_log.produced(b"{}")
    result_log.fetched([b"{}"])
    return [record.levelname for record in caplog.records]


def followed(result_log: ResultLog, config: Config, caplog: pytest.LogCaptureFixture) -> list[str]:
    """What is logged when the configuration is taken."""
    caplog.clear()
    result_log.follow(config)
    return caplog.messages.copy()


def test_results_are_logged_at_info_without_a_word_about_that(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    result_log = ResultLog()

    assert followed(result_log, config(20), caplog) == []

    assert levels(result_log, caplog) == ["INFO", "INFO"]


def test_results_of_many_monitors_are_logged_at_debug_and_one_line_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    result_log = ResultLog()

    said = followed(result_log, config(21), caplog), followed(result_log, config(22), caplog)

    assert said == (["results are logged at debug, since there are more than 20 monitors"], [])
    assert levels(result_log, caplog) == ["DEBUG", "DEBUG"]


def test_a_reload_that_crosses_the_limit_back_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    result_log = ResultLog()
    result_log.follow(config(21))

    said = followed(result_log, config(20), caplog)

    assert said == ["results are logged at info, since there are at most 20 monitors"]
    assert levels(result_log, caplog) == ["INFO", "INFO"]


def test_the_configuration_has_the_last_word(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    result_log = ResultLog()

    of_many = followed(result_log, config(21, log_results=True), caplog)
    levels_of_many = levels(result_log, caplog)
    of_few = followed(result_log, config(1, log_results=False), caplog)

    assert (of_many, levels_of_many) == ([], ["INFO", "INFO"])
    assert of_few == ["results are logged at debug, since log_results says so"]
    assert levels(result_log, caplog) == ["DEBUG", "DEBUG"]


class Unread(bytes):
    """A value that nobody may look at."""

    def __getitem__(self, _: object) -> Any:
        raise AssertionError


def test_what_is_not_written_is_not_made(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    result_log = ResultLog()

    result_log.produced(Unread(b"{}"))
    result_log.fetched([Unread(b"{}")])

    assert caplog.messages == []


def test_a_message_without_a_value_is_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    ResultLog().fetched([None])

    assert caplog.messages == ["AIOKafka Consumer fetched: None"]
