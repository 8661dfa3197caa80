"""What the running API answers to each of its operations, held against the OpenAPI document."""

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import jsonschema
import pytest

from monitor.alerts.decision import Delivery
from monitor.alerts.message import Alert
from monitor.alerts.store import AlertStore
from monitor.result import Attempt, Certificate, CheckResult, DnsAnswer, Evidence, Hop, Tls
from monitor.storage.results import ResultStore
from monitor.web.api.operations.operation import Operation
from tests.web.api.client import Client, Open, failed
from tests.web.api.operations.test_openapi import SITE, check, documented

OPERATIONS = SITE.api.operations
MONITOR = {
    "name": "Checkout",
    "url": "https://checkout.example/",
    "group": "Store",
    "labels": {"team": "web"},
    "runbook": "https://wiki.example/checkout",
}
FOUND: Mapping[str, Any] = {
    "ip": "192.0.2.7",
    "http_version": "1.1",
    "tls": Tls("TLS 1.3", "AES", "5f", "CN=a", "CN=b", "a", "04", None),
    "evidence": Evidence(
        {"Server": "nginx"},
        "gone",
        dns=(DnsAnswer("a.test", ("192.0.2.7",), 60, "192.0.2.53:53"),),
        addresses=(Attempt("192.0.2.7", "connected"),),
        hops=(Hop("https://a.test/", 503, "192.0.2.7"),),
        certificates=(Certificate("5f", "CN=a", "CN=b", 1.0, 2.0),),
    ),
}
UNTIL = time.time() + 3_600
BODIES: Mapping[str, Mapping[str, Any]] = {
    "post_incidents_acknowledge": {"who": "Ada", "why": "a full disk"},
    "post_incidents_updates": {"text": "We found the cause.", "who": "Ada"},
    "post_monitors_silence": {"until": UNTIL, "who": "Ada", "why": "we move"},
    "post_maintenance": {"group": "Store", "until": UNTIL, "who": "Ada", "why": "a new disk"},
}


def described(operation: Operation) -> Any:
    return documented()["paths"][operation.path][operation.method.lower()]


async def answer_of(world: Client, operation: Operation, query: str = "") -> Any:
    path = operation.path.replace("{id}", "1").replace("{name}", "Checkout")
    body: dict[str, Any] = {} if operation.takes is None else {"json": BODIES[operation.id]}
    return await world(path + query, operation.method, **body)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.id)
def test_each_operation_is_described_with_the_body_that_it_takes(operation: Operation) -> None:
    assert described(operation)["description"].endswith(".")
    assert ("requestBody" in described(operation)) == (operation.takes is not None)
    if operation.takes is not None:
        schema = described(operation)["requestBody"]["content"]["application/json"]["schema"]
        check(schema, BODIES[operation.id])
        with pytest.raises(jsonschema.ValidationError):
            check(schema, {**BODIES[operation.id], "other": 1})


@pytest.fixture
async def world(open_api: Open, store: ResultStore) -> Client:
    """Open the API with a monitor that is down and of which an alert was sent."""

    async def check_now(name: str, _: float) -> CheckResult:
        return failed(name, time.time(), **FOUND)

    now = time.time()
    client: Client = await open_api(store, monitors=(MONITOR,))
    client.check_now(check_now)
    client.share_with("there-1")
    await store.save([failed("Checkout", now - 240 + 60 * number, **FOUND) for number in range(4)])
    alert = Alert(event="opened", at=now, title="", text="", monitors=())
    deliveries = [Delivery("chat", "opened 1", "incident 1", alert)]
    await AlertStore(store.database).add(deliveries, time.time())
    return client


def in_order(operation: Operation) -> int:
    """What is made comes first, then it is read, then it is ended."""
    return 1 if operation.method == "GET" else 2 if operation.path.endswith("/end") else 0


async def test_each_answer_is_as_described(world: Client) -> None:
    for operation in sorted(OPERATIONS, key=in_order):
        answered = await answer_of(world, operation)

        check(
            described(operation)["responses"]["200"]["content"]["application/json"]["schema"], answered.json
        )


async def test_each_table_has_its_columns_and_is_a_file(world: Client) -> None:
    for operation in (each for each in OPERATIONS if each.takes is not None):
        await answer_of(world, operation)

    for operation in (each for each in OPERATIONS if each.columns):
        answered = await answer_of(world, operation, "?format=csv")

        head, *rows = answered.lines
        assert "text/csv" in described(operation)["responses"]["200"]["content"]
        assert head == ",".join(operation.columns).replace(".", "_"), operation.id
        assert rows, operation.id
        assert answered.headers["Content-Type"] == "text/csv; charset=utf-8"
        disposition, file = answered.headers["Content-Disposition"].split("UTF-8''")
        assert disposition == "attachment; filename*="
        assert unquote(file).endswith(".csv")


def test_every_list_can_be_a_table() -> None:
    lists = {each.id for each in OPERATIONS if each.gives.__name__.endswith("List")}

    assert lists - {each.id for each in OPERATIONS if each.columns} == set()
    assert {"get_monitors", "get_silences", "get_maintenance", "get_incidents_alerts"} <= lists


async def test_the_file_of_a_table_is_named_after_what_is_in_it(world: Client) -> None:
    incident = await world("/incidents/1?format=csv")
    uptime = await world("/monitors/Checkout/uptime?format=csv")

    assert incident.headers["Content-Disposition"].endswith("''incidents-1.csv")
    assert uptime.headers["Content-Disposition"].endswith("''monitors-Checkout-uptime.csv")
