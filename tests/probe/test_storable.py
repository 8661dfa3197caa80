"""Whatever a certificate, a header or a body holds, its result has a row."""

import asyncio
import encodings
from encodings.aliases import aliases
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from monitor.config.model import Monitor
from monitor.probe.exchange.connector import Network
from monitor.probe.exchange.tls import MAX_NAMES, earliest_expiry, names_of
from monitor.probe.judging.expect import MAX_DETAIL
from monitor.probe.probe import Probe
from monitor.probe.response import Received, as_text, in_utf8
from monitor.probe.timing import Timing
from monitor.result import CheckResult, Reason, Tls, decode, encode
from monitor.storage.results import ResultStore
from monitor.storage.rows import row
from tests.certificates import issue
from tests.probe.exchange.test_wire import read

SUBJECT, NAME = b"n" * 24, b"m" * 19 + b".test"
TEMPLATE = issue(f"CN={SUBJECT.decode()}", None, NAME.decode()).der
_NO_CHARSETS = {
    "base64_codec",
    "bz2_codec",
    "hex_codec",
    "mbcs",
    "quopri_codec",
    "rot_13",
    "uu_codec",
    "utf_7",
    "zlib_codec",
}
CHARSETS = sorted(each for each, name in aliases.items() if name not in _NO_CHARSETS and each.islower())
NASTY = b"\0\x1b[2J\r\n\t\x7f\x85\xe2\x80\xae\xed\xa0\x80\xff\xfe\xf4\x90\x80\x80"


def certificate(subject: bytes, name: bytes) -> bytes:
    return TEMPLATE.replace(SUBJECT, subject.ljust(24, b"a")).replace(NAME, name.ljust(24, b"a"))


async def recorded(name: bytes, header: bytes, body: bytes, charset: str, detail: str) -> CheckResult:
    """Return the result of a check that saw all this."""
    seen = await read([b"HTTP/1.1 500 \r\nX: " + header + b"\r\nContent-Type: a\r\n\r\n" + body])
    headers = CIMultiDictProxy(CIMultiDict(seen.headers))
    received = Received(seen.status, headers=headers, charset=charset, body=bytearray(seen.body))
    received.tls = received.tls._replace(tls=Tls("", "", "", *names_of(certificate(name, name)), None))
    monitor = Monitor(name="site", url="http://site.test/", store_body_bytes=100_000)
    async with Network(1) as network:
        probe = Probe(monitor, "here", network)
        return probe.result(1_760_000_000.0, Timing(), received, (Reason.STATUS, detail))


def texts(value: Any) -> list[str]:
    """Return all texts in a value, at any depth."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for each in pair for text in texts(each)]
    return []


@settings(max_examples=150, deadline=None)
@given(
    name=st.binary(max_size=24),
    header=st.binary(max_size=200),
    body=st.binary(max_size=300),
    charset=st.sampled_from(CHARSETS) | st.text(max_size=9),
    detail=st.text(max_size=2_000),
)
def test_whatever_a_site_sends_can_be_stored(
    name: bytes, header: bytes, body: bytes, charset: str, detail: str
) -> None:
    result = asyncio.run(recorded(name, header, body, charset, detail))

    assert decode(encode(result).value) == result
    found = texts(msgspec.to_builtins(result))
    assert not any("\0" in text for text in found)
    assert all(text.encode() is not None for text in found)
    assert len(result.detail or "") <= MAX_DETAIL
    assert row(result)


async def test_the_worst_of_it_has_a_row(store: ResultStore) -> None:
    results = [
        msgspec.structs.replace(
            await recorded(NASTY[start : start + 24], NASTY, NASTY, charset, NASTY.decode("latin-1")),
            scheduled_at=1_760_000_000.0 + start + 100 * number,
        )
        for start in range(len(NASTY))
        for number, charset in enumerate(("utf-8", "latin-1", "utf-16", "utf-7"))
    ]

    assert await store.save([decode(encode(each).value) for each in results]) == len(results)


@pytest.mark.parametrize(
    ("ends", "expires_at"),
    [
        (b"00010101000000Z", -62_135_596_800),
        (b"19700101000000Z", 0),
        (b"99991231235959Z", 253_402_300_799),
        (b"00000101000000Z", None),
    ],
)
async def test_a_certificate_that_ends_at_any_time_has_a_row(
    ends: bytes, expires_at: float | None, store: ResultStore
) -> None:
    der = issue("CN=shop", days=36_500).der
    start = der.index(b"\x18\x0f") + 2  # of the only date so far off
    der = der[:start] + ends + der[start + len(ends) :]
    result = await recorded(b"", b"", b"", "", "")

    found = msgspec.structs.replace(result, certificate_expires_at=earliest_expiry([der]))

    assert found.certificate_expires_at == expires_at
    assert await store.save([decode(encode(found).value)]) == 1


@pytest.mark.parametrize("part", [b"\0", b"\x1b", b"\n", b"\x7f"])
def test_a_name_is_kept_without_control_characters(part: bytes) -> None:
    subject, issuer, names, _ = names_of(certificate(b"sub" + part, b"shop" + part))

    assert "shop" in names
    assert (subject + issuer + names).isprintable()


def test_of_very_many_names_the_first_are_kept() -> None:
    names = [f"{number}.{'n' * 60}.test" for number in range(2_000)]

    kept = names_of(issue("CN=" + "s" * 60, None, *names).der)[2]

    assert kept == ",".join(names[:MAX_NAMES]) + ",… (2000 names)"


def test_of_a_very_long_subject_the_beginning_is_kept() -> None:
    subject = ",".join(["CN=shop", *(f"OU={number:060}" for number in range(1_000))])

    kept = names_of(issue(subject).der)[0]

    assert len(kept) == 1_000
    assert subject.startswith(kept)


def test_as_many_names_as_are_kept_are_all() -> None:
    names = [f"{number}.test" for number in range(MAX_NAMES)]

    assert names_of(issue("CN=a", None, *names).der)[2] == ",".join(names)


@settings(max_examples=400, deadline=None)
@given(charset=st.sampled_from(CHARSETS), body=st.binary(max_size=40), times=st.sampled_from([1, 2_000]))
def test_a_body_is_decoded_in_pieces_as_in_one(charset: str, body: bytes, times: int) -> None:
    whole = (times * body).decode(charset, "replace")

    assert in_utf8(times * body, charset) == whole.encode("utf-8", "replace")


def test_python_remembers_no_charset_that_a_site_made_up() -> None:
    as_text(b"a", "utf-8", 10)
    before = len(encodings._cache)

    for number in range(100):
        as_text(b"a", f"no-such-{number}", 10)
        as_text(b"a", f"utf{'-' * number}8", 10)

    assert len(encodings._cache) == before
