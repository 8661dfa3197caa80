"""One result as pages show it: what was measured, and what a failed check has seen."""

from collections.abc import Iterator
from typing import Any

import msgspec

from monitor.result import Certificate, DnsAnswer, Evidence, Hop, why
from monitor.runtime.text import day, duration
from monitor.uptime.sums import status_of
from monitor.web.pages.content.response_times import PHASES
from monitor.web.queries import ResultRow


def shown_result(result: ResultRow) -> dict[str, Any]:
    """Return what a page has of a result; a text may have several lines."""
    seen = msgspec.convert(result.evidence or {"headers": {}, "body": ""}, Evidence)
    facts = [*_seen(seen, result.timestamp), *_measured(result)]
    return {
        **result._asdict(),
        "status": status_of(up=result.up, degraded=result.degraded),
        "code": result.status,
        "why": why(result.reason, result.detail),
        "facts": [(name, text) for name, text in facts if text],
        "evidence": "\n".join(_response(seen)).strip(),
    }


def _measured(result: ResultRow) -> Iterator[tuple[str, str]]:
    for phase in PHASES:
        seconds = getattr(result, f"{phase}_s")
        yield phase, "" if seconds is None else duration(seconds)
    for step in result.steps or ():
        yield f"step {step['name']}", step_in_words(step["status"], step["seconds"])
    yield "redirects", str(result.redirects or "")
    yield "from", result.location or ""
    yield "to", str(result.ip or "")


def step_in_words(status: int | None, seconds: float) -> str:
    """Return the outcome of one of the steps of a check."""
    return f"{'no response' if status is None else status}, {duration(seconds)}"


def _seen(evidence: Evidence, at: float) -> Iterator[tuple[str, str]]:
    yield "DNS", "\n".join(map(_answer, evidence.dns))
    yield "addresses", "\n".join(f"{each.address}: {each.outcome}" for each in evidence.addresses)
    yield "requests", "\n".join(map(_request, evidence.hops))
    yield "certificates", "\n".join(_certificate(each, at) for each in evidence.certificates)


def _answer(answer: DnsAnswer) -> str:
    if answer.error is not None:
        return answer.error
    of = f" ({answer.server}, TTL {answer.ttl_s} s)" if answer.server else ""
    return f"{answer.host}: {', '.join(answer.addresses)}{of}"


def _request(hop: Hop) -> str:
    answered = "no response" if hop.status is None else str(hop.status)
    return f"{hop.url}: {answered}{f' ({hop.ip})' if hop.ip else ''}"


def _certificate(certificate: Certificate, at: float) -> str:
    begins_at, expires_at = certificate.begins_at, certificate.expires_at
    if begins_at is None or expires_at is None:
        return f"SHA-256 {certificate.sha256}: cannot be read"
    of = "expired on" if expires_at < at else "valid until"
    if begins_at > at:
        of = f"not valid before {day(begins_at)}, then until"
    return f"{certificate.subject}, by {certificate.issuer}: {of} {day(expires_at)}"


def _response(evidence: Evidence) -> Iterator[str]:
    yield from (f"{name}: {value}" for name, value in evidence.headers.items())
    yield ""
    yield evidence.body
