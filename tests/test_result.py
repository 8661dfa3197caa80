import json
from contextlib import suppress
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.result import (
    CheckResult,
    InvalidMessageError,
    Phases,
    Reason,
    checked_at,
    decode,
    encode,
    result_id,
    shrink,
    why,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
INSTANTS = st.floats(0, 4e9)


def result(**changes: object) -> CheckResult:
    fields: dict[str, object] = {
        "timestamp": 1_790_000_000.25,
        "response_data": "welcome",
        "response_status": 200,
        "response_time": 0.125,
        "id": result_id("here", "shop", 1_790_000_000.0),
        "monitor": "shop",
        "url": "https://shop.example/",
        "location": "here",
        "scheduled_at": 1_790_000_000.0,
        "up": True,
    }
    return CheckResult(**(fields | changes))  # type: ignore[arg-type]


def test_the_message_begins_with_the_original_four_fields() -> None:
    fields = json.loads(encode(result()).value)

    assert list(fields)[:5] == ["timestamp", "response_data", "response_status", "response_time", "schema"]
    assert fields["schema"] == 1
    assert fields["reason"] is None
    assert fields["phases"] == dict.fromkeys(["resolve", "connect", "tls", "processing", "transfer"])


def test_the_key_is_the_monitor() -> None:
    assert encode(result(monitor="café")).key == "café".encode()


@given(
    body=TEXTS,
    monitor=TEXTS,
    status=st.none() | st.integers(100, 599),
    timestamp=INSTANTS,
    reason=st.none() | st.sampled_from(Reason),
    connect=st.none() | st.floats(0, 100),
)
def test_a_result_survives_its_journey(
    body: str,
    monitor: str,
    status: int | None,
    timestamp: float,
    reason: Reason | None,
    connect: float | None,
) -> None:
    sent = result(
        response_data=body,
        monitor=monitor,
        response_status=status,
        timestamp=timestamp,
        reason=reason,
        phases=Phases(connect=connect),
    )

    assert decode(encode(sent).value) == sent


def test_a_message_with_further_fields_is_read() -> None:
    fields = json.loads(encode(result()).value) | {"added_later": 1}

    assert decode(json.dumps(fields).encode()) == result()


def test_a_message_of_the_first_version_is_read() -> None:
    value = b'{"timestamp": 1.5, "response_data": "x", "response_status": 503, "response_time": 0.25}'

    read = decode(value)

    assert (read.timestamp, read.response_data, read.response_status, read.response_time) == (
        1.5,
        "x",
        503,
        0.25,
    )
    assert (read.scheduled_at, read.monitor, read.up) == (1.5, "", False)
    assert read.id == decode(value).id
    assert read.id != decode(value.replace(b"1.5", b"2.5")).id


@pytest.mark.parametrize(
    ("value", "mistake"),
    [
        (b"", "Input data was truncated"),
        (b"hello", "JSON is malformed"),
        (b"[]", "Expected `object`, got `array`"),
        (b"{}", "missing required field `timestamp`"),
        (b"\xff\xfe", "malformed"),
        (b"[" * 100_000, "array"),
        (
            encode(result()).value.replace(b'"response_status":200', b'"response_status":"x"'),
            "$.response_status",
        ),
        (encode(result()).value.replace(b'"schema":1', b'"schema":2'), "$.schema"),
    ],
)
def test_what_is_no_result_is_refused_with_its_place(value: bytes, mistake: str) -> None:
    with pytest.raises(InvalidMessageError) as refused:
        decode(value)

    assert mistake in str(refused.value)


@given(st.binary())
def test_any_bytes_are_a_result_or_are_refused(value: bytes) -> None:
    with suppress(InvalidMessageError):
        assert decode(value).schema == 1


def test_a_long_body_is_cut_until_the_message_fits() -> None:
    message = encode(result(response_data="\x01" * 1_000_000))

    assert len(message.value) <= 1_000_000
    assert decode(message.value).body_truncated
    assert len(decode(message.value).response_data) > 100_000


def test_shrinking_takes_from_the_body_alone() -> None:
    sent = result(response_data="x" * 10_000)

    smaller = shrink(encode(sent))

    assert smaller
    assert len(smaller.value) <= len(encode(sent).value) // 2
    assert (
        msgspec.structs.replace(decode(smaller.value), response_data=sent.response_data, body_truncated=False)
        == sent
    )


def test_a_message_without_a_body_cannot_shrink() -> None:
    assert shrink(encode(result(response_data=""))) is None


def test_a_slot_has_one_identity() -> None:
    name = result_id("here", "shop", 60.0)

    assert name == UUID("b1f058a2-0714-5042-867f-78061419944c")  # it is stored: no version makes another
    assert len({name, result_id("her", "eshop", 60.0), result_id("here", "shop", 120.0)}) == 3


def test_when_a_check_started_can_be_read_alone() -> None:
    assert checked_at(encode(result(timestamp=1.5)).value) == 1.5


@pytest.mark.parametrize("value", [b"", b"{}", b'{"timestamp": "x"}', b"\xff"])
def test_what_is_no_result_started_never(value: bytes) -> None:
    with pytest.raises(InvalidMessageError):
        checked_at(value)


def test_a_reason_is_said_once_and_in_words() -> None:
    assert why("status", "status 503, expected 200-399") == "status 503, expected 200-399"
    assert why("connect_refused", None) == "connect refused"
    assert why(None, None) == ""
