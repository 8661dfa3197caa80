"""What registries are asked, and what their answers say (RFC 9082, 9083 and 9224). Pure."""

import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, TypeAlias

import msgspec
from pydantic import SecretStr

from monitor.config.model import Monitor
from monitor.runtime.text import DAY_S, HOUR_S

_LIMIT_S = 10.0
_MAX_BYTES = 1_048_576  # of an answer; IANA's list has 100,000
_GOOD, _NOT_FOUND, _TOO_MANY = 200, 404, 429
# Of the monitor. A registry is trusted by the authorities of the system.
_CONNECTION = ("ip_family", "resolver", "deny_addresses", "proxy", "no_proxy")


class Answer(NamedTuple):
    """What has come of a request."""

    status: int | None
    body: bytes
    retry_after: str
    """The header; empty where there is none."""
    trouble: str | None
    """Why there is no complete answer, for a person."""


Fetch: TypeAlias = Callable[[Monitor], Awaitable[Answer]]
"""Sends the request that a monitor describes."""


class UnknownError(Exception):
    """It is not known when a domain expires: the text says why, for a person. Ask again after `again_s`."""

    def __init__(self, why: str, again_s: float) -> None:
        super().__init__(why)
        self.again_s = again_s


def request(url: str, monitor: Monitor) -> Monitor:
    """Return a request as a monitor that is checked once, with the connection of this one.

    Raises:
        UnknownError: the URL, which others have chosen, cannot be used.

    """
    settings: dict[str, Any] = {key: getattr(monitor, key) for key in _CONNECTION}
    accepted = SecretStr("application/rdap+json, application/json")
    try:
        return Monitor(
            name="registration",
            url=url,
            timeout_s=_LIMIT_S,
            headers={"Accept": accepted},
            max_redirects=5,
            max_body_bytes=_MAX_BYTES,
            store_body="never",
            **settings,
        )
    except ValueError as error:
        raise UnknownError("the URL of the RDAP server cannot be used", DAY_S) from error


def good_body(answer: Answer, who: str, now: float) -> bytes:
    """Return the body of an answer with the status 200.

    Raises:
        UnknownError: it has another one, or is not complete.

    """
    if answer.status == _GOOD and answer.trouble is None:
        return answer.body
    if answer.status == _NOT_FOUND:
        raise UnknownError(f"{who} does not know it (404)", DAY_S)
    again_s = min(max(_seconds(answer.retry_after, now), HOUR_S), DAY_S)
    if answer.status == _TOO_MANY:
        raise UnknownError(f"{who} answers no more requests for now (429)", again_s)
    if answer.status in {None, _GOOD}:
        raise UnknownError(f"{who} gives no answer: {answer.trouble}", again_s)
    raise UnknownError(f"{who} answers {answer.status}", again_s)


def expiry_in(body: bytes, who: str) -> float:
    """Return when a registration expires (Unix seconds).

    Raises:
        UnknownError: the answer does not say it: it may be redacted.

    """
    dates = [at for event in _events(_decoded(body)) if (at := _instant(event.get("eventDate"))) is not None]
    if not dates:
        raise UnknownError(f"{who} does not say when it expires", DAY_S)
    return min(dates)


def servers_in(body: bytes) -> dict[str, str]:
    """Return the RDAP server for each name below which domains are registered, from IANA's list.

    Raises:
        ValueError: it is no such list.

    """
    servers: dict[str, str] = {}
    try:
        for names, urls in _decoded(body)["services"]:
            usable = [url for url in urls if url.startswith(("http:", "https:"))]
            for server in sorted(usable, key=lambda url: url.startswith("https:")):
                servers.update((name.lower(), server) for name in names)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError("not a list of RDAP servers") from error
    return servers


def server_of(domain: str, servers: Mapping[str, str]) -> str | None:
    """Return the server for the longest part of the domain that has one."""
    labels = domain.split(".")
    return next(
        (servers[part] for at in range(len(labels)) if (part := ".".join(labels[at:])) in servers), None
    )


def address(server: str, domain: str) -> str:
    """Return the URL that asks a server about a domain."""
    return f"{server.rstrip('/')}/domain/{domain}"


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _events(answer: Any) -> Iterator[dict[str, Any]]:
    events = answer.get("events") if isinstance(answer, dict) else None
    for event in events if isinstance(events, list) else ():
        if isinstance(event, dict) and event.get("eventAction") == "expiration":
            yield event


def _instant(written: object) -> float | None:
    """Return an instant to the second; `None` for one outside of the years 1 to 9999 in UTC, too."""
    try:
        date = datetime.fromisoformat(written)  # type: ignore[arg-type]  # what is no text is caught
        date = date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        return None
    return date.replace(microsecond=0).timestamp()


def _seconds(retry_after: str, now: float) -> float:
    """Return for how long not to ask; 0 where the header does not say it."""
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - now
        except (ValueError, OverflowError):
            return 0.0
    return seconds if math.isfinite(seconds) else 0.0
