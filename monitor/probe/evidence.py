"""What is kept of a check that failed: of DNS, addresses, redirects, certificates and the response.

Nothing here runs for a check that succeeds. Until then it only refers to what it has anyway. What is kept is
bounded, storable and without secrets.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice

from msgspec.structs import replace

from monitor.config.public_url import MASK, is_secret_header, mask_urls
from monitor.probe.addresses import Answered
from monitor.probe.exchange.tls import certificates_in
from monitor.probe.failures import did
from monitor.probe.masking import Masking
from monitor.probe.response import Received, as_text
from monitor.probe.timing import Timing
from monitor.result import Attempt, Certificate, DnsAnswer, Evidence, Hop

BODY_BYTES = 1_024
HEADERS_LENGTH = 8_192  # characters of names and values
MAX_ADDRESSES = 32  # of an answer, and of those that were tried
MAX_CERTIFICATES = 10
TEXT_LENGTH = 500  # characters of each other text

# A URL that was cut may have lost the @ that shows that it contains a password.
_CUT_AUTHORITY = re.compile(r"://[^/?#\s\"'<>]*\Z")


def evidence_of(
    timing: Timing, seen: Received, public_url: str, masking: Masking, *, keep_body: bool
) -> Evidence | None:
    """Return what a failed check of this URL has seen; `None` if that is nothing."""
    body = seen.body[:BODY_BYTES] if keep_body else b""
    kept = Evidence(
        headers=_headers(seen.headers.items(), masking),
        body=as_text(body, seen.charset, 4 * BODY_BYTES, masking)[0],
        dns=tuple(_dns(timing, masking)),
        addresses=tuple(islice(_attempts(timing), MAX_ADDRESSES)),
        hops=tuple(_hops(timing, seen, public_url, masking)),
        certificates=tuple(_certificates(timing, masking)),
    )
    return kept if seen.status is not None or kept != _NOTHING else None


_NOTHING = Evidence({}, "")


def _headers(headers: Iterable[tuple[str, str]], masking: Masking) -> dict[str, str]:
    """Return the headers; the one at the limit of all is cut, those after it are left out."""
    kept: dict[str, str] = {}
    spelled: dict[str, str] = {}
    left = HEADERS_LENGTH
    for name, value in headers:
        left -= len(name)
        if left <= 0:
            break
        shown = MASK if is_secret_header(name) else _cut(masking.text(value), left)
        left -= len(shown)
        shown = _storable(mask_urls(shown))
        as_before = spelled.setdefault(name.lower(), _storable(masking.line(name)))
        kept[as_before] = f"{kept[as_before]}, {shown}" if as_before in kept else shown
    return kept


def _dns(timing: Timing, masking: Masking) -> Iterable[DnsAnswer]:
    found = timing.found
    if found is None:
        return
    if isinstance(found, Answered):
        answers = found.answers
    else:  # the system tells nothing else
        answers = [DnsAnswer(found[0]["hostname"], tuple(each["host"] for each in found))] if found else []
    for answer in dict.fromkeys(answers):
        yield replace(
            answer,
            host=_text(answer.host, masking),
            addresses=answer.addresses[:MAX_ADDRESSES],
            error=answer.error and _text(answer.error, masking),
        )


def _attempts(timing: Timing) -> Iterator[Attempt]:
    offered = timing.offered or ()
    tried = dict.fromkeys(offered[:1], 0) if timing.tried is None else timing.tried
    for address in offered:
        yield Attempt(address, _outcome(tried, address))
    for address in timing.denied or ():
        yield Attempt(address, "is denied")


def _outcome(tried: Mapping[str, int | None], address: str) -> str:
    if address not in tried:
        return "was not tried"
    code = tried[address]
    if code is None:
        return "was given up, as another one was faster" if 0 in tried.values() else "did not answer"
    return did(code) if code else "connected"


def _hops(timing: Timing, seen: Received, public_url: str, masking: Masking) -> Iterator[Hop]:
    """Return the requests of a chain of redirects; the first URL may be shown as it is."""
    last = timing.led_to
    if not last:
        return
    ip = timing.ip if timing.offered or seen.status is not None else None
    for request, status, of in (*timing.trail, (last, seen.status, ip)):
        if public_url:
            yield Hop(_cut(public_url, TEXT_LENGTH), status, of)
            public_url = ""
        else:
            url = request if isinstance(request, str) else f"{request.url.origin()}{request.target}"
            yield Hop(_text(url, masking), status, of)


def _certificates(timing: Timing, masking: Masking) -> Iterator[Certificate]:
    chain = timing.presented
    if timing.tls is not None:
        chain = timing.tls.presented()
    shown = partial(_text, masking=masking)
    for each in certificates_in(chain[:MAX_CERTIFICATES]):
        yield replace(each, subject=shown(each.subject), issuer=shown(each.issuer))


def _text(text: str, masking: Masking) -> str:
    return _storable(mask_urls(_cut(masking.line(text), TEXT_LENGTH)))


def _storable(text: str) -> str:
    return as_text(text.encode("utf-8", "surrogateescape"), None, 4 * HEADERS_LENGTH)[0]


def _cut(value: str, length: int) -> str:
    return value if len(value) <= length else _CUT_AUTHORITY.sub("://", value[:length])
