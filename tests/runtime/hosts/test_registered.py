"""Which domain is registered."""

import pytest

from monitor.runtime.hosts.registered import registered_domain


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("https://www.shop.example.com/a?b", "example.com"),
        ("https://SHOP.Example.co.uk.:8443/", "example.co.uk"),
        ("https://me:pass@bücher.de/", "xn--bcher-kva.de"),
        ("https://me.github.io/", "github.io"),
        ("https://unknown.test/", "unknown.test"),
        ("https://co.uk/", None),
        ("https://localhost/", None),
        ("https://10.0.0.1/", None),
        ("https://[2001:db8::1]/", None),
        ("https://[/", None),
        ("https:///", None),
    ],
)
def test_a_domain_is_registered_below_a_public_suffix(url: str, domain: str | None) -> None:
    assert registered_domain(url) == domain
