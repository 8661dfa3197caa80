"""The examples of the OpenAPI document, held against its schemas and against what the running API answers."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import jsonschema
import pytest

from monitor.alerts.decision import Delivery
from monitor.alerts.message import Alert
from monitor.alerts.store import AlertStore
from monitor.result import Attempt, Certificate, CheckResult, DnsAnswer, Evidence, Hop, Tls
from monitor.storage.results import ResultStore
from monitor.web.api.operations.examples import EXAMPLES, MONITOR
from monitor.web.api.operations.operation import Operation
from tests.web.api.client import Client, Open, failed
from tests.web.api.operations.test_openapi import SITE, check, documented

OPERATIONS = SITE.api.operations
TLS = Tls("TLS 1.3", "AES", "5f", "CN=a", "CN=b", "a", "04", None)
FOUND: Mapping[str, Any] = {
    "ip": "192.0.2.7",
    "http_version": "1.1",
    "tls": TLS,
    "evidence": Evidence(
        {"Server": "nginx"},
        "gone",
        dns=(DnsAnswer("a.test", ("192.0.2.7",), 60, "192.0.2.53:53"),),
        addresses=(Attempt("192.0.2.7", "connected"),),
        hops=(Hop("https://a.test/", 503, "192.0.2.7"),),
        certificates=(Certificate("5f", "CN=a", "CN=b", 1.0, 2.0),),
    ),
}


def described(operation: Operation) -> Any:
    return documented()["paths"][operation.path][operation.method.lower()]


def content(operation: Operation, kind: str = "application/json") -> Any:
    return described(operation)["responses"]["200"]["content"][kind]


def asked(operation: Operation) -> Any:
    """The body of its request as it is described, in time: `until` is not over yet."""
    body = described(operation)["requestBody"]["content"]["application/json"]["example"]
    later = f"{datetime.fromtimestamp(time.time() + 3_600, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return body | ({"until": later} if "until" in body else {})


def shape(found: Any) -> Any:
    """What there is in an answer, without its values; an optional one may be null."""
    match found:
        case dict():
            return {name: shape(each) for name, each in found.items()}
        case list():
            return [shape(each) for each in found[:1]]
        case bool() | str():
            return type(found)
        case int() | float():
            return float
    return None


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two shapes are not the same."""
    if one is None or other is None:
        return []
    if isinstance(one, dict) and isinstance(other, dict):
        here = [f"{where}/{name}" for name in one.keys() ^ other.keys()]
        return here + [
            each
            for name in one.keys() & other.keys()
            for each in differences(one[name], other[name], f"{where}/{name}")
        ]
    if isinstance(one, list) and isinstance(other, list) and one and other:
        return differences(one[0], other[0], f"{where}[]")
    return [] if one == other else [f"{where}: {one} {other}"]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.id)
def test_each_operation_is_described_and_has_valid_examples(operation: Operation) -> None:
    assert described(operation)["description"].endswith(".")
    check(content(operation)["schema"], content(operation)["example"])
    assert ("requestBody" in described(operation)) == (operation.takes is not None)
    if operation.takes is not None:
        body = described(operation)["requestBody"]["content"]["application/json"]
        check(body["schema"], body["example"])
        with pytest.raises(jsonschema.ValidationError):
            check(body["schema"], body["example"] | {"other": 1})


def test_each_example_is_of_an_operation() -> None:
    assert EXAMPLES.keys() == {each.id for each in OPERATIONS}


@pytest.fixture
async def world(open_api: Open, store: ResultStore) -> Client:
    """The monitor of the examples; it is down, and an alert was sent."""

    async def check_now(name: str, _: float) -> CheckResult:
        return failed(name, time.time(), **FOUND)

    now = time.time()
    monitor = MONITOR.model_dump(mode="json", exclude_defaults=True)
    client: Client = await open_api(store, monitors=(monitor,))
    client.check_now(check_now)
    client.share_with("there-1")
    await store.save([failed(MONITOR.name, now - 240 + 60 * number, **FOUND) for number in range(4)])
    alert = Alert(event="opened", at=now, title="", text="", monitors=())
    deliveries = [Delivery("chat", "opened 1", "incident 1", alert)]
    await AlertStore(store.database).add(deliveries, time.time())
    return client


def in_order(operation: Operation) -> int:
    """What is made comes first, then it is read, then it is ended."""
    return 1 if operation.method == "GET" else 2 if operation.path.endswith("/end") else 0


async def test_examples_have_the_shape_of_what_is_answered(world: Client) -> None:
    for operation in sorted(OPERATIONS, key=in_order):
        path = operation.path.replace("{id}", "1").replace("{name}", MONITOR.name)
        body = {} if operation.takes is None else {"json": asked(operation)}

        answered = (await world(path, operation.method, **body)).json

        example = content(operation)["example"]
        assert differences(shape(answered), shape(example)) == [], operation.id
        check(content(operation)["schema"], answered)


async def test_each_table_has_the_columns_of_its_example_and_is_a_file(world: Client) -> None:
    made = [each for each in sorted(OPERATIONS, key=in_order) if each.takes is not None]
    for operation in made:
        path = operation.path.replace("{id}", "1").replace("{name}", MONITOR.name)
        await world(path, "POST", json=asked(operation))

    for operation in (each for each in OPERATIONS if each.columns):
        path = operation.path.replace("{id}", "1").replace("{name}", MONITOR.name)
        answered = await world(f"{path}?format=csv")

        head, row, *rest = content(operation, "text/csv")["example"].split("\r\n")
        assert (row != "", rest) == (True, [""]), operation.id
        assert answered.lines[0] == head, operation.id
        assert len(answered.lines) > 1, operation.id
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
