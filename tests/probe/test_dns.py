"""Look-ups by DNS servers of the monitor's choice, in a check and by themselves."""

import asyncio
import socket
from contextlib import suppress
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import pytest

from monitor.probe.addresses import NoAddressError
from monitor.probe.dns import DnsResolver
from monitor.probe.dns_exchange import MAX_ANSWER_BYTES, MAX_DATAGRAMS
from monitor.result import OwnTroubleError, Reason
from tests.dns_server import Reply, StartDns, no_response, responding_with
from tests.sites import Check, Serve, answer, no_file_descriptor, ok
from tests.stream import eventually


async def addresses(resolver: DnsResolver, host: str = "a.test", family: Any = socket.AF_UNSPEC) -> list[str]:
    found = [each["host"] for each in await resolver.resolve(host, 80, family)]
    await resolver.close()
    return found


async def failure(*servers: str, limit_s: float = 5.0, host: str = "a.test") -> tuple[Reason, str]:
    with pytest.raises(NoAddressError) as error:
        await addresses(DnsResolver(servers, limit_s), host)
    return error.value.reason, error.value.detail


async def test_a_check_asks_the_monitor_s_own_server(start_dns: StartDns, serve: Serve, check: Check) -> None:
    server = start_dns(responding_with("127.0.0.1"))
    url = serve(answer(ok(b"here")), host="shop.test")

    result = await check(url, resolver=[server.address])

    assert (result.up, result.ip, result.response_data) == (True, "127.0.0.1", "here")
    assert result.phases.resolve is not None
    assert sorted(server.asked) == ["shop.test. IN A", "shop.test. IN AAAA"]


async def test_only_the_allowed_family_is_asked_for(start_dns: StartDns) -> None:
    server = start_dns(responding_with("10.0.0.1", "2001:db8::1"))
    resolver = DnsResolver([server.address], 5.0)

    assert await addresses(resolver) == ["2001:db8::1", "10.0.0.1"]
    assert await addresses(resolver, family=socket.AF_INET) == ["10.0.0.1"]
    assert await addresses(resolver, family=socket.AF_INET6) == ["2001:db8::1"]


async def test_an_alias_is_followed(start_dns: StartDns) -> None:
    server = start_dns(responding_with("10.0.0.1", alias="b.test."))

    assert await addresses(DnsResolver([server.address], 5.0)) == ["10.0.0.1"]


@pytest.mark.parametrize(
    ("code", "reason", "answered"),
    [
        (dns.rcode.NXDOMAIN, Reason.DNS_NOT_FOUND, "answered that a.test does not exist"),
        (dns.rcode.NOERROR, Reason.DNS_NOT_FOUND, "has no address of a.test"),
        (dns.rcode.SERVFAIL, Reason.DNS_ERROR, "answered SERVFAIL about a.test"),
        (dns.rcode.REFUSED, Reason.DNS_ERROR, "answered REFUSED about a.test"),
    ],
)
async def test_the_answer_of_a_server_is_reported_with_its_address(
    code: int, reason: Reason, answered: str, start_dns: StartDns, check: Check
) -> None:
    server = start_dns(responding_with(code=code))

    result = await check("http://a.test/", resolver=[server.address])

    assert (result.reason, result.detail) == (reason, f"{server.address} {answered}")


async def test_no_answer_ends_within_the_timeout_and_names_all_servers(
    start_dns: StartDns, check: Check
) -> None:
    servers = [start_dns(no_response).address for _ in range(2)]

    result = await check("http://a.test/", resolver=servers, timeout_s=2.0)

    assert result.reason == Reason.DNS_TIMEOUT
    assert result.detail == f"no answer about a.test from {servers[0]}, {servers[1]}"


@pytest.mark.parametrize("first", [no_response, responding_with(code=dns.rcode.SERVFAIL)])
async def test_the_next_server_is_asked_when_one_does_not_know(first: Any, start_dns: StartDns) -> None:
    deaf, good = start_dns(first), start_dns(responding_with("10.0.0.1"))

    assert await addresses(DnsResolver([deaf.address, good.address], 2.0)) == ["10.0.0.1"]


async def test_a_server_that_knows_of_no_such_name_is_believed(start_dns: StartDns) -> None:
    sure, other = start_dns(responding_with(code=dns.rcode.NXDOMAIN)), start_dns(responding_with("10.0.0.1"))

    reason, _ = await failure(sure.address, other.address)

    assert reason == Reason.DNS_NOT_FOUND
    assert not other.asked


async def test_a_lost_datagram_is_no_failure(start_dns: StartDns) -> None:
    lost = set()

    def respond(question: dns.message.Message) -> Reply:
        kind = question.question[0].to_text()
        if kind in lost:
            return responding_with("10.0.0.1")(question)
        lost.add(kind)
        return None

    server = start_dns(respond)

    assert await addresses(DnsResolver([server.address], 4.0)) == ["10.0.0.1"]


async def test_one_family_is_enough_when_the_other_fails(start_dns: StartDns) -> None:
    def respond(question: dns.message.Message) -> Reply:
        six = "AAAA" in question.question[0].to_text()
        return (
            responding_with(code=dns.rcode.SERVFAIL)(question)
            if six
            else responding_with("10.0.0.1")(question)
        )

    assert await addresses(DnsResolver([start_dns(respond).address], 5.0)) == ["10.0.0.1"]


@pytest.mark.parametrize("kind", ["A", "AAAA"])
async def test_trouble_of_dns_is_reported_before_an_empty_answer(kind: str, start_dns: StartDns) -> None:
    def respond(question: dns.message.Message) -> Reply:
        troubled = question.question[0].to_text().split()[-1] == kind
        return responding_with(code=dns.rcode.SERVFAIL)(question) if troubled else responding_with()(question)

    assert (await failure(start_dns(respond).address))[0] == Reason.DNS_ERROR


async def test_a_long_answer_is_fetched_over_tcp(start_dns: StartDns) -> None:
    server = start_dns(responding_with(flags=dns.flags.TC))
    many = [f"10.0.0.{each}" for each in range(100)]
    server.respond_on_stream = responding_with(*many)

    assert sorted(await addresses(DnsResolver([server.address], 5.0))) == sorted(many)


async def test_a_connection_that_is_closed_instead_of_an_answer_is_reported(start_dns: StartDns) -> None:
    server = start_dns(responding_with(flags=dns.flags.TC))

    reason, detail = await failure(server.address)

    assert reason == Reason.DNS_ERROR
    assert detail == f"{server.address} closed the connection when asked about a.test"


async def test_a_server_that_cannot_be_reached_is_reported() -> None:
    reason, detail = await failure("255.255.255.255:53")

    assert reason == Reason.DNS_ERROR
    assert detail.startswith("255.255.255.255:53 cannot be asked about a.test: ")


async def test_noise_and_answers_to_other_questions_are_no_answers(start_dns: StartDns) -> None:
    def respond(question: dns.message.Message) -> Reply:
        question.id ^= 1
        return responding_with("10.0.0.1")(question)

    assert (await failure(start_dns(respond).address, limit_s=0.2))[0] == Reason.DNS_TIMEOUT
    assert (await failure(start_dns(lambda _: b"noise").address, limit_s=0.2))[0] == Reason.DNS_TIMEOUT


@pytest.mark.parametrize(("over_tcp", "reason"), [(False, Reason.DNS_TIMEOUT), (True, Reason.DNS_ERROR)])
async def test_what_is_longer_than_answers_are_is_not_read(
    over_tcp: bool, reason: Reason, start_dns: StartDns
) -> None:
    many = responding_with(*(f"10.0.{each >> 8}.{each & 255}" for each in range(MAX_ANSWER_BYTES // 16)))
    server = start_dns(responding_with(flags=dns.flags.TC) if over_tcp else many)
    server.respond_on_stream = many
    resolver = DnsResolver([server.address], 30.0 if over_tcp else 0.4)

    with pytest.raises(NoAddressError) as error:
        await addresses(resolver, family=socket.AF_INET)

    assert error.value.reason == reason


async def test_an_answer_over_tcp_to_another_question_makes_no_sense(start_dns: StartDns) -> None:
    def respond(question: dns.message.Message) -> Reply:
        question.id ^= 1
        return responding_with("10.0.0.1")(question)

    server = start_dns(responding_with(flags=dns.flags.TC))
    server.respond_on_stream = respond

    assert (await failure(server.address))[0] == Reason.DNS_ERROR


@pytest.mark.parametrize(("noise", "is_heard"), [(MAX_DATAGRAMS - 1, True), (MAX_DATAGRAMS, False)])
async def test_after_a_few_datagrams_of_noise_no_answer_is_heard(
    noise: int, is_heard: bool, start_dns: StartDns
) -> None:
    server = start_dns(responding_with("10.0.0.1"))
    server.noise = noise
    asking = addresses(DnsResolver([server.address], 30.0 if is_heard else 0.4), family=socket.AF_INET)

    (found,) = await asyncio.gather(asking, return_exceptions=True)

    assert (found == ["10.0.0.1"]) is is_heard


async def test_an_alias_of_itself_makes_no_sense(start_dns: StartDns) -> None:
    server = start_dns(responding_with(alias="a.test."))

    reason, detail = await failure(server.address)

    assert (reason, detail) == (Reason.DNS_ERROR, f"{server.address} sent an invalid answer about a.test")


@pytest.mark.parametrize("host", ["a" * 64 + ".test", "a..test"])
async def test_what_is_no_name_is_not_found(host: str) -> None:
    assert await failure("127.0.0.1:9", host=host) == (
        Reason.DNS_NOT_FOUND,
        f"{host} is not a valid DNS name",
    )


async def test_no_file_descriptor_left_is_no_result(check: Check) -> None:
    with pytest.raises(OwnTroubleError, match="Too many open files"), no_file_descriptor():
        await check("http://a.test/", resolver=["127.0.0.1:9"])


async def test_a_look_up_can_be_given_up(start_dns: StartDns) -> None:
    server = start_dns(no_response)
    asking = asyncio.create_task(addresses(DnsResolver([server.address], 20.0)))

    async def asked() -> object:
        return server.asked

    await eventually("the server is asked", asked)

    asking.cancel()

    with suppress(asyncio.CancelledError):
        await asking
    assert asking.cancelled()
