"""Expectations of the TLS of the last request, and of the certificates that its peer presented. Pure.

All but `certificates_last` fail where there was no TLS: a pin that a redirect to `http://` avoids is none.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from monitor.config.expressions import compile_pattern
from monitor.probe.judging.expect import Expectation, Failure, Response, encoded, shown
from monitor.result import Reason
from monitor.runtime.text import DAY_S

_WITHOUT = "the last request was made without TLS"


def tls_is(expected: Literal["required", "forbidden"]) -> Expectation:
    """Expect TLS of the last request, or none."""

    def judge(response: Response) -> Iterable[Failure]:
        if expected == "required" and response.tls is None:
            yield Reason.TLS_POLICY, f"{_WITHOUT}, expected TLS"
        elif expected == "forbidden" and response.tls is not None:
            yield Reason.TLS_POLICY, f"the last request was made with {response.tls.version}, expected no TLS"

    return Expectation(judge)


def tls_at_least(minimum: str) -> Expectation:
    """Expect that this version (`1.3`) or a higher one was agreed on."""
    expected = f"TLS {minimum}"

    def judge(response: Response) -> Iterable[Failure]:
        if response.tls is None:
            yield Reason.TLS_POLICY, f"{_WITHOUT}, expected at least {expected}"
        elif response.tls.version < expected:
            yield Reason.TLS_POLICY, f"{response.tls.version} was agreed on, expected at least {expected}"

    return Expectation(judge)


def certificate_issued_by(pattern: str) -> Expectation:
    """Expect to find this in the issuer of the peer's own certificate, whether it was verified or not."""
    compiled = compile_pattern(pattern)

    def judge(response: Response) -> Iterable[Failure]:
        if response.tls is None:
            yield Reason.TLS_POLICY, f"{_WITHOUT}, so there is no issuer"
        elif compiled.search(encoded(response.tls.issuer)) is None:
            issuer = response.tls.issuer or "an issuer that cannot be read"
            yield (
                Reason.TLS_POLICY,
                f'the certificate is by {issuer}, which does not match "{shown(pattern)}"',
            )

    return Expectation(judge, compiled.programsize)


def certificate_is_one_of(fingerprints: Sequence[str]) -> Expectation:
    """Expect one of these SHA-256 fingerprints of the peer's own certificate, verified or not."""
    expected = frozenset(each.replace(":", "").lower() for each in fingerprints)

    def judge(response: Response) -> Iterable[Failure]:
        if response.tls is None:
            yield Reason.TLS_POLICY, f"{_WITHOUT}, so there is no certificate"
        elif response.tls.sha256 not in expected:
            yield (
                Reason.TLS_POLICY,
                f"the certificate has another SHA-256 than expected: {response.tls.sha256}",
            )

    return Expectation(judge)


def certificates_last(min_days: float) -> Expectation:
    """Expect that no certificate of the peer expires within these days; without TLS nothing is expected."""

    def judge(response: Response) -> Iterable[Failure]:
        if response.tls is None:
            return
        if response.certificate_expires_at is None:
            yield Reason.CERTIFICATE_EXPIRING, "the expiry of the certificate cannot be read"
            return
        days = (response.certificate_expires_at - response.checked_at) / DAY_S
        if days < min_days:
            yield (
                Reason.CERTIFICATE_EXPIRING,
                f"a certificate expires in {days:.1f} days, expected at least {min_days:g}",
            )

    return Expectation(judge)
