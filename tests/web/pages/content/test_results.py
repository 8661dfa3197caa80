"""What pages say of one result."""

from typing import Any

import msgspec
import pytest

from monitor.result import Attempt, Certificate, DnsAnswer, Evidence, Hop
from monitor.web.pages.content.results import shown_result
from monitor.web.queries import ResultRow

DAY = 86_400.0
NOTHING = ResultRow(*[None] * len(ResultRow._fields))  # type: ignore[arg-type]


def facts(evidence: Evidence, **known: Any) -> dict[str, str]:
    row = NOTHING._replace(timestamp=100 * DAY, evidence=msgspec.to_builtins(evidence), **known)
    return dict(shown_result(row)["facts"])


def test_what_a_failed_check_has_seen_is_told_line_by_line() -> None:
    evidence = Evidence(
        {},
        "",
        dns=(
            DnsAnswer("a.test", ("192.0.2.1", "192.0.2.2"), 60, "192.0.2.53:53"),
            DnsAnswer("a.test", ("192.0.2.1",)),
            DnsAnswer("a.test", error="192.0.2.53:53 has no address of a.test"),
        ),
        addresses=(Attempt("192.0.2.1", "refused the connection"), Attempt("192.0.2.2", "connected")),
        hops=(Hop("http://a.test/", 301, "192.0.2.1"), Hop("https://a.test/", None, None)),
    )

    assert facts(evidence, connect_s=0.02, location="here") == {
        "connect": "20 ms",
        "from": "here",
        "DNS": "a.test: 192.0.2.1, 192.0.2.2 (192.0.2.53:53, TTL 60 s)\na.test: 192.0.2.1\n"
        "192.0.2.53:53 has no address of a.test",
        "addresses": "192.0.2.1: refused the connection\n192.0.2.2: connected",
        "requests": "http://a.test/: 301 (192.0.2.1)\nhttps://a.test/: no response",
    }


@pytest.mark.parametrize(
    ("begins", "expires", "shown"),
    [
        (90, 110, "CN=a, by CN=b: valid until Tue 21 April 1970"),
        (90, 99, "CN=a, by CN=b: expired on Fri 10 April 1970"),
        (101, 110, "CN=a, by CN=b: not valid before Sun 12 April 1970, then until Tue 21 April 1970"),
    ],
)
def test_a_certificate_is_told_with_its_days(begins: float, expires: float, shown: str) -> None:
    chain = (Certificate("5f", "CN=a", "CN=b", begins * DAY, expires * DAY),)

    assert facts(Evidence({}, "", certificates=chain)) == {"certificates": shown}


def test_a_certificate_that_cannot_be_read_is_told_by_its_fingerprint() -> None:
    assert facts(Evidence({}, "", certificates=(Certificate("5f"),))) == {
        "certificates": "SHA-256 5f: cannot be read"
    }


@pytest.mark.parametrize(
    ("evidence", "shown"),
    [
        ({"headers": {"Server": "nginx"}, "body": "gone"}, "Server: nginx\n\ngone"),
        ({"headers": {"Server": "nginx"}, "body": ""}, "Server: nginx"),
        ({"headers": {}, "body": ""}, ""),
        (None, ""),
    ],
)
def test_a_response_is_shown_as_it_came(evidence: dict[str, Any] | None, shown: str) -> None:
    """Rows of earlier versions have nothing else."""
    assert shown_result(NOTHING._replace(timestamp=0.0, evidence=evidence))["evidence"] == shown
