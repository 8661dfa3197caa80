import pytest

from monitor.alerts.expiring import SeenChain, domain_warnings, warnings
from monitor.domains.known import Domain
from tests.alerting import NOW, monitor, plan

DAY_S = 86_400
BOTH = plan(monitor("shop"), monitor("blog"), channels=("mail",))


def seen(name: str, days: float, sha256: str | None = "ab12") -> SeenChain:
    return SeenChain(name, NOW - 5, NOW + days * DAY_S, sha256, "CN=shop.example")


@pytest.mark.parametrize(
    ("days", "warned_at"),
    [(30.1, None), (30, 30), (14.1, 30), (14, 14), (7, 7), (1.5, 7), (1, 1), (0.1, 1), (-3, 1)],
)
def test_each_number_of_days_is_a_warning_of_its_own(days: float, warned_at: int | None) -> None:
    found = [delivery.about for delivery in warnings(BOTH, [seen("shop", days)], NOW)]

    expires_at = round(NOW + days * DAY_S)
    assert found == ([] if warned_at is None else [f"certificate ab12 {expires_at} {warned_at}"])


def test_one_certificate_of_several_monitors_is_one_warning() -> None:
    (delivery,) = warnings(BOTH, [seen("shop", 6.5), seen("blog", 6.5)], NOW)

    assert delivery.alert.title == "shop, blog: a certificate of the chain expires in 6 d 12 h"
    assert delivery.alert.text.splitlines() == [
        delivery.alert.title,
        "Expires: 2027-01-21 20:00:00 UTC",
        "Certificate: CN=shop.example",
        "https://shop.example/",
        "http://127.0.0.1:8080/monitors/shop",
        "https://blog.example/",
        "http://127.0.0.1:8080/monitors/blog",
    ]


def test_a_warning_has_the_labels_and_the_runbook() -> None:
    known = plan(monitor("shop", labels={"team": "ink"}, runbook="https://wiki.example/"), channels=("mail",))

    (delivery,) = warnings(known, [seen("shop", 6.5)], NOW)

    assert delivery.alert.text.splitlines()[-1] == "Runbook: https://wiki.example/"
    assert delivery.alert.monitors[0].labels == {"team": "ink"}


def test_other_certificates_are_other_warnings() -> None:
    found = list(warnings(BOTH, [seen("shop", 6), seen("blog", 6, "cd34"), seen("blog", 5, None)], NOW))

    assert len({delivery.about for delivery in found}) == len(found) == 3


def test_one_that_has_expired_says_so() -> None:
    (delivery,) = warnings(BOTH, [seen("shop", -2)._replace(subject=None)], NOW)

    assert delivery.alert.title == "shop: a certificate of the chain expired 2 d ago"
    assert "Certificate:" not in delivery.alert.text


def test_only_the_channels_of_the_monitor_are_warned() -> None:
    quiet = plan(monitor("shop", notify={"channels": "chat"}), monitor("blog", notify={"channels": []}))

    found = list(warnings(quiet, [seen("shop", 1), seen("blog", 1)], NOW))

    assert [(each.channel, [subject.monitor for subject in each.alert.monitors]) for each in found] == [
        ("chat", ["shop"])
    ]


def domain(days: float, name: str = "shop.example") -> Domain:
    return Domain(name, NOW + days * DAY_S, NOW - 5, NOW - 5)


@pytest.mark.parametrize(("days", "warned_at"), [(30.1, None), (30, 30), (14, 14), (6.5, 7), (-3, 1)])
def test_a_domain_is_warned_of_as_a_certificate_is(days: float, warned_at: int | None) -> None:
    found = [
        each.about
        for each in domain_warnings(plan(monitor("shop"), channels=("mail",)), lambda _: domain(days), NOW)
    ]

    expires_at = round(NOW + days * DAY_S)
    assert found == ([] if warned_at is None else [f"domain shop.example {expires_at} {warned_at}"])


def test_one_domain_of_several_monitors_is_one_warning() -> None:
    known = {"shop": domain(6.5), "blog": domain(6.5)}

    (delivery,) = domain_warnings(BOTH, known.get, NOW)

    assert delivery.alert.event == "domain"
    assert [each.kind for each in delivery.alert.monitors] == ["domain", "domain"]
    assert delivery.alert.title == "shop, blog: the domain shop.example expires in 6 d 12 h"
    assert delivery.alert.text.splitlines()[1:3] == [
        "Expires: 2027-01-21 20:00:00 UTC",
        "Domain: shop.example",
    ]


def test_other_domains_are_other_warnings_and_unknown_ones_are_none() -> None:
    known = {"shop": domain(6), "blog": domain(6, "blog.example")}

    assert len(list(domain_warnings(BOTH, known.get, NOW))) == 2
    assert list(domain_warnings(BOTH, {"shop": Domain("shop.example")}.get, NOW)) == []
