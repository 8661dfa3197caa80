"""Both ways into the table: the short one for results that are all new, and the other."""

from typing import Any

import pytest

from monitor.result import Evidence, Phases, StepResult, Tls
from monitor.storage.database import RefusedError
from monitor.storage.results import ResultStore
from tests.storage.test_results import SLOT, count, query, result, slots

WHOLE = result(
    SLOT,
    up=False,
    reason="status",
    detail="404",
    phases=Phases(resolve=0.5, connect=0.25, tls=0.125, processing=1.5, transfer=0.1),
    redirects=2,
    http_version="1.1",
    ip="fe80::1%eth0",
    body_bytes=3_000_000_000,
    certificate_expires_at=1_800_000_000.123_456,
    degraded=True,
    tls=Tls("TLS 1.3", "TLS_AES_256_GCM_SHA384", "ab", "CN=a", "CN=b", "a, b", "01", None),
    evidence=Evidence({"Server": "a"}, "Not Ü"),
    steps=(StepResult("log in", 403, 0.25, Phases(), "status"),),
)


async def take_the_long_way(store: ResultStore) -> None:
    """Make the next results go in as those of a batch that is repeated."""
    early = result(SLOT - 60)
    await store.save([early, early])


async def test_both_ways_lead_to_the_same_row(database: str, store: ResultStore) -> None:
    plain = result(SLOT + 60, ip=None, certificate_expires_at=None)
    rows = []

    for _ in range(2):
        assert await store.save([WHOLE, plain]) == 2
        rows.append(await query(database, "SELECT * FROM health_data ORDER BY id DESC LIMIT 2"))
        await query(database, "TRUNCATE health_data")
        await take_the_long_way(store)

    short, long = ([tuple(row)[1:] for row in some] for some in rows)
    assert short == long


async def test_repeated_and_new_results_may_follow_each_other(database: str, store: ResultStore) -> None:
    first, second, *others = slots(10)

    new = [await store.save(some) for some in ([first], [first, second], others, [second], others[:1])]

    assert new == [1, 1, 8, 0, 0]
    assert await count(database) == 10


@pytest.mark.parametrize(
    "changes",
    [{"ip": "nowhere"}, {"certificate_expires_at": 1e17}, {"certificate_expires_at": -1e300}],
)
@pytest.mark.parametrize("long", [False, True])
async def test_what_no_column_takes_is_refused_on_both_ways(
    store: ResultStore, changes: dict[str, Any], long: bool
) -> None:
    if long:
        await take_the_long_way(store)

    with pytest.raises(RefusedError):
        await store.save([result(SLOT + 60, **changes)])
