import pytest

from monitor.config.expect import Expect
from monitor.probe.judging.expect import (
    MAX_DETAIL,
    Response,
    answered_within,
    header_has,
    header_lacks,
    judged,
    status_in,
)
from monitor.probe.judging.expect_body import body_has, body_lacks, json_is_true
from monitor.probe.judging.expect_tls import certificates_last
from monitor.probe.judging.judge import Judge
from monitor.result import Reason, Tls

DAY = 86_400.0
TLS = Tls(
    version="TLS 1.2",
    cipher="ECDHE-RSA-AES128-GCM-SHA256",
    sha256="5f" * 32,
    subject="CN=shop",
    issuer="CN=R3,O=Let's Encrypt",
    alternatives="shop.test",
    serial_number="04",
    chain_expires_at=None,
)


@pytest.mark.parametrize(
    ("allowed", "status", "satisfied"),
    [
        (["200-399"], 200, True),
        (["200-399"], 399, True),
        (["200-399"], 199, False),
        (["200-399"], 400, False),
        ([204], 204, True),
        (["204"], 204, True),
        ([204], 205, False),
        (["2xx"], 299, True),
        (["2XX"], 200, True),
        (["2xx"], 300, False),
        (["2xx"], 199, False),
        ([204, "4xx"], 404, True),
        ([204, "4xx"], 500, False),
    ],
)
def test_a_status_is_judged_by_codes_ranges_and_classes(
    allowed: list[str | int], status: int, satisfied: bool
) -> None:
    assert (judged([status_in(allowed)], Response(status)) is None) == satisfied


def test_without_expectations_every_response_will_do() -> None:
    assert judged((), Response(503)) is None


async def test_the_detail_has_all_that_failed_and_the_first_gives_the_reason() -> None:
    expect = Expect.model_validate(
        {
            "body_regex": "welcome",
            "body_not_regex": "error",
            "header_regex": {"Server": "nginx"},
            "header_not_regex": {"x-powered-by": "PHP"},
            "json": "ok",
            "max_response_time_s": 1,
            "min_certificate_days": 14,
        }
    )
    response = Response(
        503,
        headers={"server": ["Apache"], "x-powered-by": ["PHP/5"]},
        body=b"an error",
        response_time=1.5,
        tls=TLS,
        checked_at=0.0,
        certificate_expires_at=3 * DAY,
    )
    judge = Judge(expect)

    reason, detail = await judge.judge(response) or (None, "")

    assert set(judge.header_names) == {"server", "x-powered-by"}
    assert reason == Reason.STATUS
    assert detail.split("; ") == [
        "status 503, expected 200-399",
        'the header Server does not match "nginx"',
        'the header x-powered-by matches "PHP"',
        'the body does not match "welcome"',
        'the body matches "error"',
        "the body is not JSON, or nested too deeply",
        "took 1.500 s, expected at most 1 s",
        "a certificate expires in 3.0 days, expected at least 14",
    ]


def test_what_could_not_be_decided_gives_way_to_what_failed() -> None:
    cut = Response(200, body=b"an error", truncated=True)

    both = judged([body_has("welcome"), body_lacks("error")], cut)

    assert both is not None
    assert both[0] == Reason.BODY
    assert "welcome" in both[1]


def test_the_detail_is_limited() -> None:
    failure = judged([body_has("x" * 300)] * 100, Response(200))

    assert failure is not None
    assert len(failure[1]) == MAX_DETAIL


@pytest.mark.parametrize(("took_s", "satisfied"), [(0.9, True), (1.0, True), (1.1, False)])
def test_a_response_may_take_so_long(took_s: float, satisfied: bool) -> None:
    failure = judged([answered_within(1.0)], Response(200, response_time=took_s))

    assert failure == (None if satisfied else (Reason.TOO_SLOW, "took 1.100 s, expected at most 1 s"))


@pytest.mark.parametrize(
    ("tls", "expires_at", "satisfied"),
    [(TLS, 114 * DAY, True), (TLS, 113.9 * DAY, False), (TLS, None, False), (None, None, True)],
)
def test_a_certificate_must_last(tls: Tls | None, expires_at: float | None, satisfied: bool) -> None:
    response = Response(200, checked_at=100 * DAY, tls=tls, certificate_expires_at=expires_at)

    failure = judged([certificates_last(14)], response)

    assert (failure is None) == satisfied
    assert failure is None or failure[0] == Reason.CERTIFICATE_EXPIRING


@pytest.mark.parametrize(
    ("has", "lacks", "body", "reasons"),
    [
        ("hello", "error", b"hello", []),
        ("hello", "error", b"hello error", [Reason.BODY]),
        ("hello", "error", b"nothing", [Reason.BODY]),
        ("hello", "error", b"error", [Reason.BODY, Reason.BODY]),
        ("h.llo$", "(?i)ERROR", "h\u00e4llo".encode(), []),
        ("h.llo", "x", b"h\xe4llo", []),
        ("^$", "x", b"", []),
        ("a\x00b", "x", b"a\x00b", []),
    ],
)
def test_both_kinds_of_patterns_are_judged_on_one_body(
    has: str, lacks: str, body: bytes, reasons: list[Reason]
) -> None:
    response = Response(200, body=body)

    failures = [*body_has(has).judge(response), *body_lacks(lacks).judge(response)]

    assert [reason for reason, _ in failures] == reasons


def test_a_body_is_judged_in_its_charset() -> None:
    response = Response(200, body="gr\u00fc\u00dfe".encode("latin-1"), charset="latin-1")

    assert judged([body_has("^gr\u00fc\u00dfe$")], response) is None


@pytest.mark.parametrize(
    ("body", "has", "lacks"),
    [
        (b"say hello to", None, Reason.BODY),
        (b"say hello", Reason.BODY_TOO_LARGE, Reason.BODY_TOO_LARGE),
        (b"say", Reason.BODY_TOO_LARGE, Reason.BODY_TOO_LARGE),
    ],
)
def test_a_body_that_was_cut_is_judged_by_what_was_read(
    body: bytes, has: Reason | None, lacks: Reason
) -> None:
    """The end of what was read is not the end of the body: `hello$` may or may not be there."""
    response = Response(200, body=body, truncated=True)
    pattern = "hello( |$)"

    assert (judged([body_has(pattern)], response) or (None,))[0] == has
    assert (judged([body_lacks(pattern)], response) or (None,))[0] == lacks


@pytest.mark.parametrize(
    ("values", "has", "lacks"),
    [
        (["a"], True, False),
        (["b"], False, True),
        (["b", "a"], True, False),
        ([], False, True),
        (["\udce4a"], True, False),
    ],
)
def test_any_value_of_a_header_counts(values: list[str], has: bool, lacks: bool) -> None:
    response = Response(200, headers={"x-kind": values} if values else {})

    assert (judged([header_has("X-Kind", ["a"])], response) is None) == has
    assert (judged([header_lacks("X-Kind", ["a"])], response) is None) == lacks


def test_each_pattern_of_a_header_must_be_found_in_one_of_its_values() -> None:
    response = Response(200, headers={"x-kind": ["abc", "def"]})

    assert judged([header_has("X-Kind", ["^ab", "ef$"])], response) is None
    assert judged([header_has("X-Kind", ["^ab", "cd", "e$"], may_be_missing=True)], response) == (
        Reason.HEADER,
        'the header X-Kind does not match "cd"; the header X-Kind does not match "e$"',
    )
    assert judged([header_lacks("X-Kind", ["b$", "^d"])], response) == (
        Reason.HEADER,
        'the header X-Kind matches "^d"',
    )


def test_a_header_that_may_be_missing_is_judged_where_it_is_there() -> None:
    expected = [header_has("X-Kind", ["a"], may_be_missing=True)]

    assert judged(expected, Response(200)) is None
    assert judged(expected, Response(200, headers={"x-kind": [""]})) == (
        Reason.HEADER,
        'the header X-Kind does not match "a"',
    )


def test_a_missing_header_is_reported_as_missing() -> None:
    assert judged([header_has("X-Kind", ["a", "b"])], Response(200)) == (
        Reason.HEADER,
        "there is no header X-Kind",
    )


@pytest.mark.parametrize(
    ("expression", "body", "detail"),
    [
        ("status == 'ok'", b'{"status": "ok"}', None),
        ("status == 'ok'", b'\xef\xbb\xbf{"status": "ok"}', None),
        ("status == 'ok'", b'{"status": "down"}', "status == 'ok' is false, expected true"),
        ("status", b'{"status": "ok"}', "status is a string, expected true"),
        ("status", b"{}", "status is null, expected true"),
        ("@", b"1", "@ is a number, expected true"),
        ("@", b"[true]", "@ is a list, expected true"),
        ("@", b"{}", "@ is an object, expected true"),
        ("@", b"true", None),
        ("length(a) > `1`", b"{}", "length(a) > `1` does not fit this JSON"),
        ("contains(@, `1`)", b'"text"', "contains(@, `1`) does not fit this JSON"),
        ("avg(@) > `1`", b"[" + b"9" * 400 + b"]", "avg(@) > `1` does not fit this JSON"),
        ("@", b"<html>", "the body is not JSON, or nested too deeply"),
        ("@", b"", "the body is not JSON, or nested too deeply"),
        ("@", b'"\xff"', "@ is a string, expected true"),
        ("@", b"[" * 100_000, "the body is not JSON, or nested too deeply"),
    ],
)
def test_json_must_be_true(expression: str, body: bytes, detail: str | None) -> None:
    failure = judged([json_is_true([expression])], Response(200, body=body))

    assert failure == (None if detail is None else (Reason.JSON, detail))


def test_every_expression_must_be_true() -> None:
    failure = judged([json_is_true(["a", "b", "c"])], Response(200, body=b'{"a": true}'))

    assert failure == (Reason.JSON, "b is null, expected true; c is null, expected true")


def test_json_in_another_charset_is_read() -> None:
    body = '{"ok": true}'.encode("utf-16")

    assert judged([json_is_true(["ok"])], Response(200, body=body, charset="utf-16")) is None


def test_json_that_was_cut_is_never_decided() -> None:
    failure = judged([json_is_true(["@"])], Response(200, body=b"true", truncated=True))

    assert failure == (Reason.BODY_TOO_LARGE, "the JSON continues after the 4 bytes that were read")
