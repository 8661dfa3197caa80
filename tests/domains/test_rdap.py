"""What registries are asked, and what their answers say."""

import json
from typing import Any

import pytest
from pydantic import SecretStr

from monitor.config.model import Monitor
from monitor.domains.rdap import (
    Answer,
    UnknownError,
    address,
    expiry_in,
    good_body,
    request,
    server_of,
    servers_in,
)

NOW = 1_800_000_000.0
WHO = "https://rdap.example"
HOUR_S, DAY_S = 3_600, 86_400


def events(*written: Any) -> bytes:
    return json.dumps(
        {"events": [{"eventAction": "expiration", "eventDate": each} for each in written]}
    ).encode()


@pytest.mark.parametrize(
    ("body", "expires_at"),
    [
        (events("2027-01-15T08:00:00Z"), NOW),
        (events("2027-01-15T09:00:00.000+01:00"), NOW),
        (events("2027-01-15T08:00:00"), NOW),
        (events("2028-01-01T00:00:00Z", "soon", 7, "2027-01-15T08:00:00Z"), NOW),
        (events("9999-12-31T23:59:59.9999999Z"), 253_402_300_799.0),
    ],
)
def test_the_event_of_the_expiry_has_its_date(body: bytes, expires_at: float) -> None:
    assert expiry_in(body, WHO) == expires_at


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        b"{}",
        b'{"events": null}',
        b'{"events": [7, {"eventAction": "registration", "eventDate": "2027-01-15T08:00:00Z"}]}',
        b'{"events": [{"eventAction": "registrar expiration", "eventDate": "2027-01-15T08:00:00Z"}]}',
        b'{"events": [{"eventAction": "expiration"}]}',
        events("REDACTED FOR PRIVACY", None, "10000-01-01T00:00:00Z"),
        events("0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"),
    ],
)
def test_an_answer_without_a_date_says_nothing(body: bytes) -> None:
    with pytest.raises(UnknownError, match="does not say when it expires") as unknown:
        expiry_in(body, WHO)

    assert unknown.value.again_s == DAY_S


@pytest.mark.parametrize(
    ("status", "retry_after", "trouble", "why", "again_s"),
    [
        (404, "", None, f"{WHO} does not know it (404)", DAY_S),
        (429, "", None, f"{WHO} answers no more requests for now (429)", HOUR_S),
        (429, "7200", None, f"{WHO} answers no more requests for now (429)", 7_200),
        (429, "60", None, f"{WHO} answers no more requests for now (429)", HOUR_S),
        (429, "inf", None, f"{WHO} answers no more requests for now (429)", HOUR_S),
        (429, "9" * 400, None, f"{WHO} answers no more requests for now (429)", HOUR_S),
        (429, "1e9", None, f"{WHO} answers no more requests for now (429)", DAY_S),
        (429, "Fri, 15 Jan 2027 10:00:00 GMT", None, f"{WHO} answers no more requests for now (429)", 7_200),
        (503, "soon", "status 503", f"{WHO} answers 503", HOUR_S),
        (None, "", "no response within 10 s", f"{WHO} gives no answer: no response within 10 s", HOUR_S),
        (200, "", "the body did not end", f"{WHO} gives no answer: the body did not end", HOUR_S),
    ],
)
def test_what_is_no_good_answer_is_not_known_and_asked_again_later(
    status: int | None, retry_after: str, trouble: str | None, why: str, again_s: float
) -> None:
    with pytest.raises(UnknownError) as unknown:
        good_body(Answer(status, b"", retry_after, trouble), WHO, NOW)

    assert (str(unknown.value), unknown.value.again_s) == (why, again_s)


def test_a_good_answer_has_a_body() -> None:
    assert good_body(Answer(200, b"{}", "", None), WHO, NOW) == b"{}"


def test_the_longest_name_in_the_list_decides_and_https_is_preferred() -> None:
    listed = {
        "services": [
            [["UK", "com"], ["http://a.example/", "https://b.example/"]],
            [["co.uk"], ["http://c.example/"]],
            [["org"], []],
        ]
    }

    servers = servers_in(json.dumps(listed).encode())

    assert server_of("shop.co.uk", servers) == "http://c.example/"
    assert server_of("shop.uk", servers) == "https://b.example/"
    assert server_of("shop.org", servers) is None
    assert address("https://b.example/", "shop.uk") == "https://b.example/domain/shop.uk"
    assert address("https://b.example", "shop.uk") == "https://b.example/domain/shop.uk"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"services": [[["com"]]]}', b'{"services": [[["com"], [7]]]}', b'{"services": 7}'],
)
def test_what_is_no_list_is_none(body: bytes) -> None:
    with pytest.raises(ValueError, match="not a list of RDAP servers"):
        servers_in(body)


def test_a_request_has_the_connection_of_its_monitor_and_nothing_else() -> None:
    monitor = Monitor(
        name="shop",
        url="https://shop.example/",
        headers={"X-Key": SecretStr("s3cret")},
        bearer_token=SecretStr("s3cret"),
        proxy=SecretStr("http://proxy.example:3128"),
        deny_addresses="private",  # type: ignore[arg-type]
        verify_tls=False,
    )

    made = request("https://rdap.example/domain/shop.example", monitor)

    assert (made.proxy, made.deny_addresses) == (monitor.proxy, ("private",))
    assert (made.bearer_token, made.verify_tls, list(made.headers)) == (None, True, ["Accept"])


def test_a_url_of_others_may_be_unusable() -> None:
    with pytest.raises(UnknownError, match="cannot be used"):
        request("https://rdap .example/", Monitor(name="shop", url="https://shop.example/"))
