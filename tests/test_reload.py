from pathlib import Path

from pydantic import SecretStr

from monitor.config.model import Config, Monitor
from monitor.config.public_url import Expanded
from monitor.reload import Difference, difference

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


def test_keys_that_need_a_restart_are_named() -> None:
    old = Config(monitors=(SHOP,))
    new = Config(
        monitors=(SHOP,), pg_uri=SecretStr("postgres://db/"), data_dir=Path("elsewhere"), log_level="debug"
    )

    assert difference(old, new) == Difference((), (), ("pg_uri", "data_dir"))


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
