from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from monitor.config.alerts import Alerts, Maintenance, Notify, Webhook
from tests.config.conftest import Read


def test_without_a_word_every_monitor_alerts_to_every_channel(read: Read) -> None:
    config = read(url_to_monitor="https://a.example/")

    assert config.alerts == Alerts()
    assert config.monitors[0].notify == Notify(channels=None)


def test_channels_are_urls_files_and_webhooks_and_none_of_their_secrets_is_shown(
    read: Read, tmp_path: Path
) -> None:
    (tmp_path / "chat").write_text("slack://s3cretA/s3cretB/s3cretC\n")
    (tmp_path / "key").write_text("s3cret\n")

    config = read(
        {"PASSWORD": "s3cret"},
        url_to_monitor="https://a.example/",
        alerts={
            "channels": {
                "mail": "mailtos://me:${PASSWORD}@mail.example",
                "chat": {"file": "chat"},
                "hook": {"webhook": "https://hooks.example/s3cret", "secret": {"file": "key"}},
            }
        },
        heartbeat_url="https://beats.example/s3cret",
    )

    assert config.alerts.channels == {
        "mail": SecretStr("mailtos://me:s3cret@mail.example"),
        "chat": SecretStr("slack://s3cretA/s3cretB/s3cretC"),
        "hook": Webhook(webhook=SecretStr("https://hooks.example/s3cret"), secret=SecretStr("s3cret")),
    }
    assert "s3cret" not in f"{config} {config!r}"


def test_a_monitor_wins_over_its_group_and_that_over_the_defaults(read: Read) -> None:
    config = read(
        alerts={"channels": {"mail": "json://mail.example", "chat": "json://chat.example"}},
        monitors=[
            {"name": "shop", "url": "https://a.example/", "group": "web"},
            {"name": "blog", "url": "https://b.example/", "group": "web", "notify": {"channels": []}},
            {"name": "gateway", "url": "https://c.example/", "group": None, "depends_on": []},
            {"name": "other", "url": "https://d.example/"},
        ],
        groups={
            "web": {"notify": {"channels": "chat", "remind_every_s": 60}},
            "rest": {"maintenance": {"cron": "0 2 * * *", "duration_s": 60}},
        },
        defaults={"notify": {"channels": ["mail"]}, "depends_on": ["gateway"], "group": "rest"},
    )

    shop, blog, gateway, other = config.monitors
    assert shop.notify == Notify(channels=("chat",), remind_every_s=60.0)
    assert blog.notify == Notify(channels=())
    assert gateway.notify == other.notify == Notify(channels=("mail",))
    assert (shop.depends_on, gateway.depends_on) == (("gateway",), ())
    assert other.maintenance == (Maintenance(cron="0 2 * * *", duration_s=60.0),)
    assert gateway.maintenance == shop.maintenance == ()


def test_windows_are_once_weekly_and_by_cron(read: Read) -> None:
    config = read(
        monitors=[
            {
                "url": "https://a.example/",
                "maintenance": [
                    {"starts_at": "2026-12-01T02:00:00+01:00", "ends_at": "2026-12-01T02:00:00Z"},
                    {"weekly": "sun", "at": "02:30", "duration_s": 60, "time_zone": "Europe/Berlin"},
                    {"cron": "0 2 1 * *", "duration_s": 60},
                ],
            }
        ]
    )

    once, weekly, cron = config.monitors[0].maintenance
    assert once.starts_at == datetime(2026, 12, 1, 1, tzinfo=UTC)
    assert (weekly.weekly, weekly.at, weekly.time_zone) == (("sun",), "02:30", "Europe/Berlin")
    assert (cron.cron, cron.time_zone) == ("0 2 1 * *", "UTC")
