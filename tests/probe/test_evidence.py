"""What is kept of a check that failed: of DNS, addresses, redirects, certificates and the response."""

import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dns.message
import dns.rcode
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from pydantic import SecretStr

from monitor.config.public_url import MASK
from monitor.probe.addresses import Answered
from monitor.probe.evidence import (
    BODY_BYTES,
    HEADERS_LENGTH,
    MAX_ADDRESSES,
    MAX_CERTIFICATES,
    TEXT_LENGTH,
    evidence_of,
)
from monitor.probe.exchange.connector import Network
from monitor.probe.masking import Masking
from monitor.probe.response import Received
from monitor.probe.timing import Timing
from monitor.result import Attempt, Certificate, CheckResult, DnsAnswer, Evidence, Hop, Reason
from tests.certificates import DAY, NOW, issue, serving
from tests.dns_server import StartDns, no_response, responding_with
from tests.probe.test_probe import checks, keeping
from tests.sites import Check, Serve, answer, closed_port, redirect, tunnel

NO = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"


def of(result: CheckResult) -> Evidence:
    assert result.evidence is not None
    return result.evidence


async def test_what_dns_answered_is_kept_with_its_server_and_ttl(
    serve: Serve, check: Check, start_dns: StartDns
) -> None:
    server = start_dns(responding_with("127.0.0.1", alias="b.test."))
    url = serve(answer(NO), host="a.test")

    result = await check(url, resolver=server.address)

    assert of(result).dns == (DnsAnswer("a.test", ("127.0.0.1",), 60, server.address),)
    assert of(result).addresses == (Attempt("127.0.0.1", "connected"),)


async def test_an_error_beside_an_answer_is_kept(serve: Serve, check: Check, start_dns: StartDns) -> None:
    def respond(question: dns.message.Message) -> bytes | None:
        code = dns.rcode.SERVFAIL if "AAAA" in question.question[0].to_text() else dns.rcode.NOERROR
        return responding_with("127.0.0.1", code=code)(question)

    server = start_dns(respond)

    result = await check(serve(answer(NO), host="a.test"), resolver=server.address)

    assert of(result).dns == (
        DnsAnswer("a.test", error=f"{server.address} answered SERVFAIL about a.test"),
        DnsAnswer("a.test", ("127.0.0.1",), 60, server.address),
    )


async def test_an_answer_without_an_address_is_kept_once(check: Check, start_dns: StartDns) -> None:
    server = start_dns(responding_with(code=3))

    result = await check("http://a.test/", resolver=server.address)

    assert result.reason == Reason.DNS_NOT_FOUND
    assert result.evidence == Evidence(
        {}, "", dns=(DnsAnswer("a.test", error=f"{server.address} answered that a.test does not exist"),)
    )


async def test_servers_that_do_not_answer_are_kept(check: Check, start_dns: StartDns) -> None:
    server = start_dns(no_response)

    result = await check("http://a.test/", resolver=server.address, timeout_s=0.4, ip_family=4)

    assert of(result).dns == (DnsAnswer("a.test", error=f"no answer about a.test from {server.address}"),)


def finding(*addresses: str) -> Any:
    """Return a look-up by the system."""
    return lambda *_, **__: [(socket.AF_INET, 1, 6, "", (each, 0)) for each in addresses]


async def test_what_the_system_found_is_kept_and_what_became_of_each_address(check: Check) -> None:
    async with Network(1, finding("255.255.255.255", "127.0.0.1")) as network:
        result = await check(f"http://a.test:{closed_port()}/", of=network)

    assert result.evidence == Evidence(
        {},
        "",
        dns=(DnsAnswer("a.test", ("255.255.255.255", "127.0.0.1")),),
        addresses=(
            Attempt("255.255.255.255", "cannot be reached"),
            Attempt("127.0.0.1", "refused the connection"),
        ),
    )


@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("127.0.0.1", "127.0.0.2")])
async def test_an_address_that_does_not_answer_is_kept_as_such(
    addresses: tuple[str, ...], check: Check
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as first:
        first.connect(full.getsockname())
        async with Network(1, finding(*addresses)) as network:
            result = await check(f"http://a.test:{full.getsockname()[1]}/", of=network, timeout_s=0.2)

    assert result.reason == Reason.CONNECT_TIMEOUT
    assert of(result).addresses == (
        Attempt("127.0.0.1", "did not answer"),
        *(Attempt(each, "was not tried") for each in addresses[1:]),
    )


@contextmanager
def silent_and_open() -> Iterator[int]:
    """Provide a port at which 127.0.0.2 drops what is sent to it, and 127.0.0.1 accepts connections."""
    while True:
        with ExitStack() as stack:
            full = stack.enter_context(socket.create_server(("127.0.0.2", 0), backlog=0))
            stack.enter_context(socket.create_connection(full.getsockname()))
            port = full.getsockname()[1]
            try:
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:  # another program has it
                continue
            yield port
            return


async def test_an_address_that_was_slower_than_another_is_kept_as_given_up(check: Check) -> None:
    with silent_and_open() as port:
        async with Network(1, finding("127.0.0.2", "127.0.0.1")) as network:
            result = await check(f"http://a.test:{port}/", of=network, timeout_s=2.0)

    assert result.reason == Reason.RESPONSE_TIMEOUT
    assert of(result).addresses == (
        Attempt("127.0.0.2", "was given up, as another one was faster"),
        Attempt("127.0.0.1", "connected"),
    )


async def test_denied_addresses_are_kept(serve: Serve, check: Check) -> None:
    url = serve(answer(NO), host="a.test")
    async with Network(1, finding("127.0.0.2", "127.0.0.1")) as network:
        one = await check(url, of=network, deny_addresses=["127.0.0.2/32"])
        both = await check(url, of=network, deny_addresses=["127.0.0.0/8"])

    assert of(one).addresses == (Attempt("127.0.0.1", "connected"), Attempt("127.0.0.2", "is denied"))
    assert of(both).addresses == (Attempt("127.0.0.2", "is denied"), Attempt("127.0.0.1", "is denied"))


async def test_behind_a_proxy_the_addresses_are_those_of_the_proxy(serve: Serve, check: Check) -> None:
    proxy = serve(tunnel([]), host="proxy.test")
    async with Network(1, finding("127.0.0.1")) as network:
        result = await check(
            serve(answer(NO), host="a.test"), of=network, proxy=proxy, expect={"status": 204}
        )

    assert of(result).dns == (DnsAnswer("proxy.test", ("127.0.0.1",)),)
    assert of(result).addresses == (Attempt("127.0.0.1", "connected"),)


async def test_each_request_of_a_chain_is_kept_without_secrets(serve: Serve, check: Check) -> None:
    last = serve(answer(NO))
    middle = serve(
        answer(redirect(last.replace("//", "//me:hidden-1@") + "/b?token=hidden-2&c=s3cret-bearer#d"))
    )
    first = serve(answer(redirect(f"{middle}/a", status=301)))

    result = await check(f"{first}/?key=hidden-3", bearer_token=SecretStr("s3cret-bearer"))

    assert of(result).hops == (
        Hop(f"{first}/?key={MASK}", 301, "127.0.0.1"),
        Hop(f"{middle}/a", 302, "127.0.0.1"),
        Hop(f"{last}/b?token={MASK}&c={MASK}", 500, "127.0.0.1"),
    )
    assert of(result).addresses == (Attempt("127.0.0.1", "connected"),)


@pytest.mark.parametrize(
    ("leads_to", "reason", "ip"),
    [("http://a.test/", Reason.DNS_ERROR, None), ("refused", Reason.CONNECT_REFUSED, "127.0.0.1")],
)
async def test_a_request_without_a_response_ends_its_chain(
    leads_to: str, reason: Reason, ip: str | None, serve: Serve, check: Check
) -> None:
    leads_to = leads_to.replace("refused", f"http://127.0.0.1:{closed_port()}/")
    first = serve(answer(redirect(leads_to)))

    async with Network(1, fail) as network:
        result = await check(f"{first}/", of=network)

    assert result.reason == reason
    assert of(result).hops == (Hop(f"{first}/", 302, "127.0.0.1"), Hop(leads_to, None, ip))
    assert of(result).dns == ()


def fail(*_: Any, **__: Any) -> Any:
    raise socket.gaierror(socket.EAI_FAIL, "server failure")


async def test_of_a_long_chain_the_first_requests_and_the_last_are_kept(serve: Serve, check: Check) -> None:
    site = serve(answer(redirect("/" + "a" * 1_000)))

    result = await check(f"{site}/first", max_redirects=20)

    assert result.redirects == 20
    hops = of(result).hops
    assert [hop.status for hop in hops] == [302] * 11
    assert hops[0].url == f"{site}/first"
    assert {len(hop.url) for hop in hops[1:]} == {TEXT_LENGTH}


async def test_where_a_redirect_leads_that_cannot_be_used_is_kept(serve: Serve, check: Check) -> None:
    site = serve(answer(redirect("ftp://a.test/?token=hidden")))

    result = await check(site)

    assert (result.reason, result.response_status) == (Reason.PROTOCOL_ERROR, None)
    assert of(result).hops == (
        Hop(site, 302, "127.0.0.1"),
        Hop(f"ftp://a.test/?token={MASK}", None, None),
    )


@pytest.mark.parametrize(("trusted", "reason"), [(True, Reason.STATUS), (False, Reason.TLS_UNTRUSTED)])
async def test_the_chain_that_was_presented_is_kept_accepted_or_not(
    trusted: bool, reason: Reason, serve: Serve, check: Check, tmp_path: Path
) -> None:
    root = issue("CN=root", authority=True)
    middle = issue("CN=middle", root, authority=True, days=40)
    site = issue("CN=shop", middle, "127.0.0.1", days=9)
    (tmp_path / "root.pem").write_bytes((root if trusted else issue("CN=other")).pem)
    url = serve(answer(NO), serving(tmp_path, [site, middle]))

    result = await check(url, ca_file=tmp_path / "root.pem")

    begins_at = (NOW - 400 * DAY).timestamp()
    assert result.reason == reason
    assert of(result).certificates == (
        Certificate(site.sha256, "CN=shop", "CN=middle", begins_at, (NOW + 9 * DAY).timestamp()),
        Certificate(middle.sha256, "CN=middle", "CN=root", begins_at, (NOW + 40 * DAY).timestamp()),
    )


async def test_of_a_long_chain_of_certificates_the_first_are_kept(
    serve: Serve, check: Check, tmp_path: Path
) -> None:
    beside = [issue(f"CN={number}") for number in range(MAX_CERTIFICATES)]
    url = serve(answer(NO), serving(tmp_path, [issue("CN=shop", None, "127.0.0.1"), *beside]))

    result = await check(url, verify_tls=False)

    assert [each.subject for each in of(result).certificates] == [
        "CN=shop",
        *(f"CN={number}" for number in range(MAX_CERTIFICATES - 1)),
    ]


async def test_certificates_are_those_of_the_last_request(serve: Serve, check: Check, tmp_path: Path) -> None:
    tls = serving(tmp_path, [issue("CN=shop", None, "127.0.0.1")])

    result = await check(serve(answer(redirect(serve(answer(NO)))), tls), verify_tls=False)

    assert (of(result).certificates, len(of(result).hops)) == ((), 2)


async def test_a_kept_connection_has_no_look_up_and_no_addresses(serve: Serve) -> None:
    settings: dict[str, Any] = {"reuse_connection": True, "expect": {"status": 204}}

    fresh, kept_one = await checks(serve(keeping([], 2)), 2, **settings)

    assert of(fresh).addresses == (Attempt("127.0.0.1", "connected"),)
    assert of(kept_one).addresses == ()


def test_what_others_name_is_kept_up_to_a_limit_and_without_secrets() -> None:
    addresses = [f"192.0.2.{number}" for number in range(MAX_ADDRESSES + 1)]
    timing = Timing(offered=addresses, presented=(issue("CN=s3cret-1").der,), found=Answered())
    timing.found.answers = [  # type: ignore[union-attr]
        DnsAnswer("s3cret-1.test", tuple(addresses)),
        DnsAnswer("b.test", error="no s3cret-1"),
    ]

    evidence = evidence_of(timing, Received(), "", Masking(["s3cret-1"]), keep_body=True)

    assert evidence is not None
    assert evidence.dns == (
        DnsAnswer(f"{MASK}.test", tuple(addresses[:-1])),
        DnsAnswer("b.test", error=f"no {MASK}"),
    )
    assert [each.address for each in evidence.addresses] == addresses[:-1]
    assert [(each.subject, each.issuer) for each in evidence.certificates] == [(f"CN={MASK}", f"CN={MASK}")]


def test_nothing_that_was_seen_leaves_no_evidence() -> None:
    assert evidence_of(Timing(), Received(), "", Masking(), keep_body=True) is None


def kept(headers: Iterable[tuple[str, str]], body: bytes = b"", charset: str | None = None) -> Evidence:
    fields = CIMultiDictProxy(CIMultiDict(headers))
    seen = Received(500, headers=fields, charset=charset, body=bytearray(body))
    evidence = evidence_of(Timing(), seen, "", Masking(), keep_body=True)
    assert evidence is not None
    return evidence


def headers(*each: tuple[str, str]) -> dict[str, str]:
    return kept(each).headers


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Server", "nginx", "nginx"),
        ("Set-Cookie", "session=1", "***"),
        ("Cookie2", "a", "***"),
        ("Authorization", "Basic a", "***"),
        ("Proxy-Authorization", "Basic a", "***"),
        ("X-Api-Key", "a", "***"),
        ("X-CSRF-Token", "a", "***"),
        ("X-Error-Code", "E17", "E17"),
        ("WWW-Authenticate", 'Basic realm="a"', 'Basic realm="a"'),
        ("Location", "https://u:p@a.test/?token=x&b=1", "https://a.test/?token=***&b=1"),
        ("X-Raw", "a\udce4b", "a\ufffdb"),
        ("X-Utf8", "\udcc3\udca4", "ä"),
        ("X-Nul", "a\0b", "a\ufffdb"),
    ],
)
def test_a_header_is_kept_without_credentials(name: str, value: str, shown: str) -> None:
    assert headers((name, value)) == {name: shown}


def test_values_of_one_name_are_joined() -> None:
    assert headers(("Via", "a"), ("Server", "x"), ("via", "b")) == {"Via": "a, b", "Server": "x"}


def test_headers_are_kept_up_to_a_limit() -> None:
    limited = headers(("A", "a" * 8_000), ("B", "ä" * 200), ("C", "c"))

    assert limited == {"A": "a" * 8_000, "B": "ä" * (HEADERS_LENGTH - 8_002)}


def test_a_password_that_is_cut_is_not_kept() -> None:
    assert headers(("A", "a" * 8_000 + "https://user:" + "s3cret" * 100 + "@a.test/"))["A"].endswith(
        "https://"
    )
    assert headers(("A", "a" * 8_000 + "https://a.test/" + "b" * 500))["A"].endswith("bbb")


def test_the_beginning_of_a_body_is_kept_as_text() -> None:
    body = kept((), b"\xe4\0" + b"x" * 2_000, "latin-1").body

    assert body == "ä\ufffd" + "x" * (BODY_BYTES - 2)


RAW = st.binary(max_size=50).map(lambda raw: raw.decode("utf-8", "surrogateescape"))


@given(st.lists(st.tuples(st.sampled_from(["A", "Location", "Set-Cookie"]), RAW)))
def test_whatever_the_values_are_they_can_be_stored(pairs: list[tuple[str, str]]) -> None:
    assert b"\\u0000" not in msgspec.json.encode(kept(pairs))
