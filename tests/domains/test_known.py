"""What is known of domains, and for how long."""

from typing import Any

from monitor.config.model import Monitor
from monitor.domains.known import KNOWN_S, Domain, Domains, Key, expiry_of

NOW = 1_800_000_000.0


def monitor(name: str, url: str = "https://www.shop.example/", **settings: Any) -> Monitor:
    return Monitor(name=name, url=url, **{"min_domain_days": 30.0, **settings})


def test_a_date_is_known_for_three_days() -> None:
    domain = Domain("shop.example")
    assert domain.expiry(NOW) is None

    domain.learn(NOW + 9, NOW, NOW, None)

    assert domain.expiry(NOW + KNOWN_S - 1) == expiry_of(domain, NOW) == NOW + 9
    assert domain.expiry(NOW + KNOWN_S) is None
    assert expiry_of(None, NOW) is None


def test_monitors_of_one_domain_share_what_is_known() -> None:
    domains = Domains()

    domains.follow(
        [
            monitor("shop"),
            monitor("blog", "http://blog.shop.example/"),
            monitor("elsewhere", rdap_server="https://rdap.example/"),
            monitor("unwatched", min_domain_days=None),
            monitor("paused", "https://paused.example/", paused=True),
            monitor("address", "https://10.0.0.1/"),
        ]
    )

    assert domains.of("shop") is domains.of("blog") is not domains.of("elsewhere")
    assert [domains.of(name) for name in ("unwatched", "paused", "address")] == [None] * 3
    assert list(domains.watched) == [Key("shop.example", ""), Key("shop.example", "https://rdap.example/")]
    assert domains.watched[Key("shop.example", "")].monitor.name == "shop"


def test_what_is_known_outlives_a_change_of_the_configuration() -> None:
    domains = Domains()
    domains.follow([monitor("shop"), monitor("other", "https://other.example/")])
    known = domains.of("shop")

    domains.follow([monitor("first"), monitor("shop", min_domain_days=7.0)])

    assert domains.of("shop") is domains.of("first") is known
    assert domains.of("other") is None
    assert domains.watched[Key("shop.example", "")].monitor.name == "first"
