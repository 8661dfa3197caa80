"""Whose fault a failure is, where no real server can be made to show it."""

import errno
import ssl

import pytest

from monitor.probe.failures import connect_failed, connection_lost, handshake_failed, timed_out
from monitor.probe.timing import Phase
from monitor.result import OwnTroubleError, Reason


def refused(code: int) -> OSError:
    return OSError(code, "the text of the system")


def test_no_local_port_left_is_our_trouble() -> None:
    with pytest.raises(OwnTroubleError, match=r"^no local port left$"):
        connect_failed(refused(errno.EADDRNOTAVAIL), "10.0.0.1", 80)


def test_no_address_of_ours_to_reach_ip6_is_the_sites() -> None:
    failed = connect_failed(refused(errno.EADDRNOTAVAIL), "2001:db8::1", 80)

    assert (failed.reason, failed.detail) == (
        Reason.CONNECT_UNREACHABLE,
        "2001:db8::1 port 80 cannot be reached",
    )


def test_of_addresses_that_fail_in_several_ways_one_that_answered_counts() -> None:
    calls = (f"[Errno {code}] Connect call failed" for code in (errno.EHOSTUNREACH, errno.ECONNREFUSED))

    failed = connect_failed(OSError(f"Multiple exceptions: {', '.join(calls)}"), "10.0.0.1", 80)

    assert (failed.reason, failed.detail) == (
        Reason.CONNECT_REFUSED,
        "10.0.0.1 port 80 refused the connection",
    )


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
    failed = handshake_failed(error)

    assert (failed.reason, failed.detail) == (Reason.TLS_ERROR, f"the TLS handshake failed: {words}")


def test_tls_trouble_has_the_words_of_its_name() -> None:
    error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)")
    error.reason = "WRONG_VERSION_NUMBER"

    assert handshake_failed(error).detail == "the TLS handshake failed: wrong version number"


def test_tls_trouble_after_the_handshake_is_reported_as_such() -> None:
    failed = connection_lost(ssl.SSLError(1, "[SSL] bad record mac (_ssl.c:1028)"), in_body=True)

    assert (failed.reason, failed.detail) == (Reason.TLS_ERROR, "the TLS handshake failed: bad record mac")


def test_no_buffer_left_to_send_from_is_our_trouble() -> None:
    with pytest.raises(OwnTroubleError, match="No buffer space available"):
        connection_lost(OSError(errno.ENOBUFS, "the text of the system"), in_body=False)


def test_a_check_that_had_no_time_to_begin_timed_out_connecting() -> None:
    assert timed_out(Phase.BETWEEN, 0.001) == (Reason.CONNECT_TIMEOUT, "no connection within 0.001 s")
