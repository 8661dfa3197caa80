"""The results of a small company's websites over 90 days, as the program would have stored them.

They are the same each time.
"""

import math
import random
import time
from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

import msgspec

from monitor.alerts.store import AlertStore
from monitor.config.model import Config
from monitor.incidents.bookkeeping import Bookkeeping
from monitor.incidents.rules import MonitorRules
from monitor.incidents.store import locked
from monitor.result import (
    Attempt,
    Certificate,
    CheckResult,
    DnsAnswer,
    Evidence,
    Phases,
    Reason,
    Tls,
    result_id,
)
from monitor.storage.database import Database
from monitor.storage.results import ResultStore
from monitor.uptime.store import sum_up_days

INTERVAL_S = 600
DAYS = 90
DAY_S = 86_400
SAVED_S = 7_200  # how much of the past is stored at once
LAST_INCIDENT = 9
"""The number of the incident that goes on."""
_AROUND_S = 0.041  # what a check takes besides the processing by the site
_UPDATES = (  # of the two last outages of one site: when it was written, in minutes since the beginning
    (15, "We are looking into failed payments."),
    (30, "We found the cause: a full disk. Orders move to another machine, which takes about an hour."),
    (195, "It works again. Nothing was lost."),
)


class Outage(NamedTuple):
    """When a site was down: days ago, and for how many minutes."""

    days_ago: float
    minutes: float
    status: int | None = 503
    reason: Reason = Reason.STATUS
    detail: str = "status 503, expected 200-399"


class Shop(NamedTuple):
    """One site: its usual response time, and its outages."""

    name: str
    group: str
    usual_s: float
    certificate_days: float
    outages: tuple[Outage, ...] = ()
    slow_days_ago: float = 0.0
    """The site has been slow since then; 0: it has not."""


def _unanswered(days_ago: float, minutes: float) -> Outage:
    return Outage(days_ago, minutes, None, Reason.RESPONSE_TIMEOUT, "no answer within 10 s")


SITES = (
    Shop("Shop", "Store", 0.180, 71, (Outage(47.3, 70), _unanswered(20.6, 50))),
    Shop("Checkout", "Store", 0.240, 71, (Outage(0.026, 60), Outage(9.4, 190), Outage(62.2, 60))),
    Shop("Search", "Store", 0.130, 71, (Outage(33.1, 40),), slow_days_ago=0.06),
    Shop("Images", "Store", 0.045, 44),
    Shop("Blog", "Company", 0.310, 12, (_unanswered(76.5, 420),)),
    Shop("Careers", "Company", 0.220, 58),
    Shop("Partner API", "Interfaces", 0.090, 83, (_unanswered(13.2, 60), Outage(55.9, 90))),
    Shop("Webhooks", "Interfaces", 0.070, 83),
)


def config(**settings: Any) -> Config:
    """Return the configuration that has these sites."""
    monitors = tuple(
        {
            "name": site.name,
            "url": _url(site),
            "group": site.group,
            "interval_s": INTERVAL_S,
            "degraded_after_s": 3 * site.usual_s,
            "labels": {"team": "web" if site.group != "Interfaces" else "platform"},
        }
        for site in SITES
    )
    paused = {"name": "Old shop", "url": "https://old.example/", "group": "Store", "paused": True}
    page = {
        "title": "Example Ltd: status",
        "announcement": "On Sunday at 06:00 UTC the search moves to new machines.",
    }
    return Config.model_validate({"monitors": (*monitors, paused), "status_page": page, **settings})


async def fill(uri: str) -> None:
    """Store all results, in the order of their slots."""
    clock = [0.0]
    database = Database(uri)
    bookkeeping = Bookkeeping(MonitorRules(config().monitors), DAYS + 1, lambda: clock[0])
    store = ResultStore(database, bookkeeping.open_books)
    try:
        for _, some in groupby(_results(), key=lambda each: each.scheduled_at // SAVED_S):
            results = list(some)
            clock[0] = results[-1].scheduled_at + 1
            await store.save(results)
        await sum_up_days(database, locked)
        await _tell_customers(database)
    finally:
        await database.close()


async def _tell_customers(database: Database) -> None:
    """Write what customers were told of the two last outages of the site that is down."""
    alerts, now = AlertStore(database), time.time()
    rows = await database.fetch(
        "SELECT id, started_at FROM health_incidents WHERE monitor = 'Checkout'"
        " ORDER BY started_at DESC LIMIT 2"
    )
    for row in rows:
        for minutes, text in _UPDATES:
            at = row["started_at"] + 60 * minutes
            if at < now:
                await alerts.post_update(row["id"], "Ada", text, at)


async def opened(uri: str) -> Database:
    """Fill a database and return it, to be closed by the caller."""
    await fill(uri)
    return Database(uri)


def _results() -> Iterator[CheckResult]:
    chance = random.Random(7)  # noqa: S311 - the same each time
    now = time.time()
    last = now // INTERVAL_S * INTERVAL_S
    for slot in range(DAYS * DAY_S // INTERVAL_S, -1, -1):
        for position, site in enumerate(SITES):
            at = last - slot * INTERVAL_S + 7 * position
            if at < now:
                yield _result(site, at, now, chance)


def _result(site: Shop, at: float, now: float, chance: random.Random) -> CheckResult:
    days_ago = (now - at) / DAY_S
    busy = 1 + 0.3 * math.sin(2 * math.pi * (at % DAY_S) / DAY_S - 2)
    slow = 6 if days_ago < site.slow_days_ago else 1
    took_s = _AROUND_S + site.usual_s * busy * slow * chance.lognormvariate(0, 0.12)
    outage = next(
        (each for each in site.outages if 0 <= each.days_ago - days_ago < each.minutes / 1440), None
    )
    found = CheckResult(
        timestamp=at,
        response_data="",
        response_status=200,
        response_time=took_s,
        id=result_id("Frankfurt", site.name, at),
        monitor=site.name,
        url=_url(site),
        location="Frankfurt",
        scheduled_at=at,
        up=True,
        degraded=took_s > 3 * site.usual_s,
        phases=Phases(0.004, 0.011, 0.022, took_s - _AROUND_S, 0.004),
        ip="192.0.2.7",
        http_version="1.1",
        certificate_expires_at=now + site.certificate_days * DAY_S,
        tls=Tls(
            "TLS 1.3",
            "TLS_AES_256_GCM_SHA384",
            "5f" * 32,
            f"CN={site.name.lower().replace(' ', '-')}.example",
            "CN=Example Authority R3",
            f"{site.name.lower().replace(' ', '-')}.example",
            "04a1",
            now + site.certificate_days * DAY_S,
        ),
    )
    if outage is None:
        return found
    return msgspec.structs.replace(
        found,
        up=False,
        degraded=False,
        response_status=outage.status,
        reason=outage.reason,
        detail=outage.detail,
        evidence=_evidence(found, outage.status),
    )


def _evidence(found: CheckResult, status: int | None) -> Evidence:
    """Return what a failed check has seen of a site that answers, or of one that does not."""
    assert found.tls is not None  # noqa: S101 - each site has it
    host = found.tls.alternatives
    certificate = Certificate(
        found.tls.sha256,
        found.tls.subject,
        found.tls.issuer,
        found.timestamp - 20 * DAY_S,
        found.certificate_expires_at,
    )
    return Evidence(
        {"Server": "nginx", "Retry-After": "60"} if status else {},
        "<h1>Service Unavailable</h1>" if status else "",
        dns=(DnsAnswer(host, ("192.0.2.7", "192.0.2.8"), 60, "192.0.2.53:53"),),
        addresses=(Attempt("192.0.2.7", "connected"), Attempt("192.0.2.8", "was not tried")),
        certificates=(certificate,),
    )


def _url(site: Shop) -> str:
    return f"https://{site.name.lower().replace(' ', '-')}.example/"
