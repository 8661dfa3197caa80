"""An example of each operation of the API: what is sent, and what is answered. All are of one evening."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from monitor.alerts.store import Acknowledged, Acknowledgement, IncidentUpdate, Silence
from monitor.config.model import Monitor
from monitor.result import Attempt, Certificate, DnsAnswer, Evidence, Hop, Tls
from monitor.runtime.text import DAY_S, HOUR_S, MINUTE_S
from monitor.uptime.maintenance import MadeWindow
from monitor.web.api.alerting import SilenceList
from monitor.web.api.incidents import AlertList, IncidentAlert, IncidentDetail, IncidentList
from monitor.web.api.maintenance import MaintenanceList, MaintenancePeriod
from monitor.web.api.monitors import DomainState, MonitorDetail, MonitorList, MonitorState
from monitor.web.api.results import Result, ResultList
from monitor.web.api.uptime import Uptime, UptimeList
from monitor.web.processes import HandOverShown, ProcessList, ProcessShown
from monitor.web.queries import Incident, IncidentChange
from monitor.web.settings import settings_of

_AT = 1_795_725_600.0  # 2026-11-26 20:40 UTC
_UNTIL = "2026-11-26T22:40:00Z"
_WHY = {"reason": "status", "detail": "status 503, expected 200-399"}


class Example(NamedTuple):
    """An answer, its rows where it can be a table, and the body of the request if there is one."""

    answer: msgspec.Struct
    rows: Sequence[msgspec.Struct] = ()
    body: Mapping[str, Any] | None = None


MONITOR = Monitor.model_validate(
    {
        "name": "Checkout",
        "url": "https://checkout.example/",
        "group": "Store",
        "labels": {"team": "web"},
        "runbook": "https://wiki.example/checkout",
    }
)
_SILENCE = Silence("Checkout", _AT + 2 * HOUR_S, _AT, "Ada", "we move the orders")
_ACKNOWLEDGEMENT = Acknowledgement(_AT, "Ada", "a full disk; on it")
_ACKNOWLEDGED = Acknowledged(*msgspec.structs.astuple(_ACKNOWLEDGEMENT), incident=12)
_STATE = MonitorState(
    name=MONITOR.name,
    url=MONITOR.public_url,
    group=MONITOR.group,
    labels=MONITOR.labels,
    runbook=MONITOR.runbook,
    interval_s=60.0,
    status="down",
    since_at=_AT - 12 * MINUTE_S,
    **_WHY,
    last_at=_AT - 20,
    response_time_s=0.241,
    certificate_expires_at=_AT + 71 * DAY_S,
    domain_expires_at=_AT + 112 * DAY_S,
    maintenance_until_at=None,
    silence=_SILENCE,
    acknowledged=_ACKNOWLEDGED,
)
_DOMAIN = DomainState("checkout.example", _AT + 112 * DAY_S, _AT - 4 * HOUR_S, None)
_RESULT = Result(
    scheduled_at=_AT - 20,
    started_at=_AT - 19.998,
    location="Frankfurt",
    status="down",
    status_code=503,
    response_time_s=0.241,
    **_WHY,
    resolve_s=0.004,
    connect_s=0.011,
    tls_s=0.022,
    processing_s=0.2,
    transfer_s=0.004,
    ip="192.0.2.7",
    http_version="1.1",
    certificate_expires_at=_AT + 71 * DAY_S,
    tls=Tls(
        version="TLS 1.3",
        cipher="TLS_AES_256_GCM_SHA384",
        sha256="5f" * 32,
        subject="CN=checkout.example",
        issuer="CN=Example Authority R3",
        alternatives="checkout.example",
        serial_number="04a1",
        chain_expires_at=_AT + 71 * DAY_S,
    ),
    evidence=Evidence(
        {"Server": "nginx"},
        "<h1>Service Unavailable</h1>",
        dns=(DnsAnswer("checkout.example", ("192.0.2.7",), 60, "192.0.2.53:53"),),
        addresses=(Attempt("192.0.2.7", "connected"),),
        hops=(
            Hop("http://checkout.example/", 301, "192.0.2.7"),
            Hop("https://checkout.example/", 503, "192.0.2.7"),
        ),
        certificates=(
            Certificate(
                "5f" * 32,
                "CN=checkout.example",
                "CN=Example Authority R3",
                _AT - 19 * DAY_S,
                _AT + 71 * DAY_S,
            ),
        ),
    ),
    steps=None,
)
_UPTIME = Uptime(
    monitor="Checkout",
    since_at=_AT - 40 * MINUTE_S - 23 * HOUR_S,
    until_at=_AT,
    uptime=0.9915,
    up_share=0.9915,
    degraded_share=0.0,
    down_share=0.0085,
    maintenance_share=0.0,
    unknown_share=0.0,
    checks=1_420,
    checks_up=1_408,
    checks_degraded=0,
    checks_down=12,
    checks_unknown=0,
    incidents_down=1,
    incidents_partial=0,
    incidents_degraded=0,
    incidents_no_data=0,
    p50_s=0.232,
    p95_s=0.281,
    p99_s=0.34,
    slowest_s=0.612,
)
_INCIDENT = Incident(
    id=12,
    monitor="Checkout",
    kind="down",
    started_at=_AT - 12 * MINUTE_S,
    noticed_at=_AT - 10 * MINUTE_S,
    ended_at=None,
    past=False,
    **_WHY,
    locations=["Frankfurt"],
    acknowledged_at=_AT,
)
_CHANGE = IncidentChange(
    id=31,
    incident_id=12,
    kind="down",
    change="opened",
    at=_AT - 10 * MINUTE_S,
    noticed_at=_AT - 10 * MINUTE_S,
    **_WHY,
    locations=["Frankfurt"],
    quiet=False,
)
_UPDATE = IncidentUpdate(4, _AT, "Ada", "We found the cause: a full disk.")
_ALERT = IncidentAlert("opened", "chat", _AT - 10 * MINUTE_S, 1, _AT - 10 * MINUTE_S + 1, None, None)
_PERIOD = MaintenancePeriod("Checkout", _AT, _AT + 2 * HOUR_S, 3, "Ada", "a new disk")
_WINDOW = MadeWindow(3, None, "Store", _AT, _AT + 2 * HOUR_S, _AT, "Ada", "a new disk")
_PROCESSES = [
    ProcessShown("alpha-3f9c2d71", own=True, shards=list(range(32))),
    ProcessShown("beta-b1407e55", own=False, shards=list(range(32, 64))),
]
_HAND_OVER = HandOverShown(_AT - 12 * MINUTE_S, "planned", 32)

EXAMPLES: Mapping[str, Example] = {
    "get_monitors": Example(MonitorList([_STATE], None), [_STATE]),
    "get_monitors_one": Example(
        MonitorDetail(**msgspec.structs.asdict(_STATE), domain=_DOMAIN, settings=settings_of(MONITOR))
    ),
    "post_monitors_check": Example(_RESULT),
    "get_monitors_results": Example(ResultList([_RESULT], None), [_RESULT]),
    "get_monitors_export": Example(ResultList([_RESULT], None), [_RESULT]),
    "get_uptime": Example(UptimeList([_UPTIME], None), [_UPTIME]),
    "get_monitors_uptime": Example(_UPTIME, [_UPTIME]),
    "get_incidents": Example(IncidentList([_INCIDENT], None), [_INCIDENT]),
    "get_incidents_one": Example(
        IncidentDetail(
            **msgspec.structs.asdict(_INCIDENT),
            acknowledged=_ACKNOWLEDGEMENT,
            changes=[_CHANGE],
            updates=[_UPDATE],
        ),
        [_CHANGE],
    ),
    "get_incidents_alerts": Example(AlertList([_ALERT]), [_ALERT]),
    "post_incidents_acknowledge": Example(_ACKNOWLEDGED, body={"who": "Ada", "why": "a full disk; on it"}),
    "post_incidents_acknowledge_end": Example(_ACKNOWLEDGED),
    "post_incidents_updates": Example(_UPDATE, body={"text": _UPDATE.text, "who": "Ada"}),
    "post_monitors_silence": Example(
        _SILENCE, body={"until": _UNTIL, "who": "Ada", "why": "we move the orders"}
    ),
    "get_silences": Example(SilenceList([_SILENCE]), [_SILENCE]),
    "get_maintenance": Example(MaintenanceList([_PERIOD], None), [_PERIOD]),
    "post_maintenance": Example(
        _WINDOW, body={"group": "Store", "until": _UNTIL, "who": "Ada", "why": "a new disk"}
    ),
    "post_maintenance_end": Example(_WINDOW),
    "get_processes": Example(
        ProcessList(_PROCESSES, int((_AT - 12 * MINUTE_S) * 1000), _HAND_OVER, []), _PROCESSES[:1]
    ),
}
