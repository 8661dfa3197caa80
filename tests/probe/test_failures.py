"""Whose fault a failure is, where no real server can be made to show it."""

import errno
import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from monitor.probe.failures import explain, timed_out
from monitor.probe.timing import Phase, Timing
from monitor.result import OwnTroubleError, Reason

KEY = ConnectionKey(
    "a.test", 80, is_ssl=False, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None
)


def at(phase: Phase, ip: str = "10.0.0.1") -> Timing:
    timing = Timing()
    timing.enter(phase)
    timing.ip = ip
    return timing


def refused(code: int) -> aiohttp.ClientConnectorError:
    return aiohttp.ClientConnectorError(KEY, OSError(code, "the text of the system"))


def test_no_local_port_left_is_our_trouble() -> None:
    with pytest.raises(OwnTroubleError, match=r"^no local port left$"):
        explain(refused(errno.EADDRNOTAVAIL), at(Phase.CONNECT))


def test_no_address_of_ours_to_reach_ip6_is_the_sites() -> None:
    failure = explain(refused(errno.EADDRNOTAVAIL), at(Phase.CONNECT, "2001:db8::1"))

    assert failure == (Reason.CONNECT_UNREACHABLE, "2001:db8::1 port 80 cannot be reached")


def test_of_addresses_that_fail_in_several_ways_one_that_answered_counts() -> None:
    calls = (f"[Errno {code}] Connect call failed" for code in (errno.EHOSTUNREACH, errno.ECONNREFUSED))
    several = aiohttp.ClientConnectorError(KEY, OSError(f"Multiple exceptions: {', '.join(calls)}"))

    failure = explain(several, at(Phase.CONNECT))

    assert failure == (Reason.CONNECT_REFUSED, "10.0.0.1 port 80 refused the connection")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ssl.SSLError(1, "[SSL] record layer failure (_ssl.c:1028)"), "record layer failure"),
        (
            ssl.SSLZeroReturnError(6, "TLS connection has ended (EOF) (_ssl.c:1006)"),
            "TLS connection has ended (EOF)",
        ),
    ],
)
def test_tls_trouble_that_python_has_no_name_for_is_reported_in_the_words_of_openssl(
    error: ssl.SSLError, words: str
) -> None:
    failure = explain(aiohttp.ClientConnectorSSLError(KEY, error), at(Phase.TLS))

    assert failure == (Reason.TLS_ERROR, f"the TLS handshake failed: {words}")


def test_memory_that_ran_out_is_our_trouble() -> None:
    with pytest.raises(OwnTroubleError, match="no memory left"):
        explain(MemoryError(), at(Phase.TRANSFER))


def test_no_buffer_left_to_send_from_is_our_trouble() -> None:
    with pytest.raises(OwnTroubleError, match="No buffer space available"):
        explain(aiohttp.ClientOSError(errno.ENOBUFS, "the text of the system"), at(Phase.PROCESSING))


@pytest.mark.parametrize("bug", [RuntimeError("a bug"), ValueError("a bug")])
def test_a_bug_of_ours_is_raised(bug: Exception) -> None:
    with pytest.raises(type(bug), match="a bug"):
        explain(bug, at(Phase.BETWEEN))


def test_a_check_that_had_no_time_to_begin_timed_out_connecting() -> None:
    assert timed_out(at(Phase.BETWEEN), 0.001) == (Reason.CONNECT_TIMEOUT, "no connection within 0.001 s")
