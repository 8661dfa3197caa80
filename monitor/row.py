"""How a result lies in the table: the statement that inserts rows, and the order of its columns."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from monitor.result import CheckResult

# Each parameter is one column of all rows: an array travels and is planned once, whatever its length.
INSERT = """
INSERT INTO health_data (
    timestamp, data, status, time, result_id, monitor, url, location, scheduled_at, up, reason, detail,
    resolve_s, connect_s, tls_s, processing_s, transfer_s, redirects, http_version, ip, body_bytes,
    body_truncated, certificate_expires_at, degraded, tls, evidence)
SELECT
    timestamp, data, status, time, result_id, monitor, url, location, scheduled_at, up, reason, detail,
    resolve_s, connect_s, tls_s, processing_s, transfer_s, redirects, http_version, ip::inet, body_bytes,
    body_truncated, to_timestamp(certificate_expires_at), degraded, tls::jsonb, evidence::jsonb
FROM unnest(
    $1::float8[], $2::text[], $3::int[], $4::float8[], $5::uuid[], $6::text[], $7::text[], $8::text[],
    $9::float8[], $10::bool[], $11::text[], $12::text[],
    $13::float8[], $14::float8[], $15::float8[], $16::float8[], $17::float8[], $18::int[], $19::text[],
    $20::text[], $21::bigint[], $22::bool[], $23::float8[], $24::bool[], $25::text[], $26::text[]
) AS result (
    timestamp, data, status, time, result_id, monitor, url, location, scheduled_at, up, reason, detail,
    resolve_s, connect_s, tls_s, processing_s, transfer_s, redirects, http_version, ip, body_bytes,
    body_truncated, certificate_expires_at, degraded, tls, evidence)
ON CONFLICT DO NOTHING
"""

# Asked in the same transaction, where not all rows were new: a row knows the transaction that made it.
NEW = """
SELECT result_id, scheduled_at FROM health_data
WHERE result_id = ANY ($1) AND scheduled_at = ANY ($2) AND xmin = pg_current_xact_id()::xid
"""


def laid_out(results: Iterable[CheckResult]) -> list[Sequence[Any]]:
    """Lay out results as `INSERT`'s parameters; a column of nulls stays empty, and PostgreSQL fills it up."""
    columns = zip(*map(row, results), strict=True)
    return [() if column[0] is None and column.count(None) == len(column) else column for column in columns]


def row(result: CheckResult) -> tuple[Any, ...]:
    """Lay out one result in the order of `INSERT`'s parameters; what no first version said is null."""
    phases = result.phases
    return (
        result.timestamp,
        result.response_data,
        result.response_status,
        result.response_time,
        result.id,
        result.monitor or None,
        result.url or None,
        result.location or None,
        result.scheduled_at,
        result.up,
        result.reason,
        result.detail,
        phases.resolve,
        phases.connect,
        phases.tls,
        phases.processing,
        phases.transfer,
        result.redirects,
        result.http_version,
        result.ip and result.ip.partition("%")[0],
        result.body_bytes,
        result.body_truncated,
        result.certificate_expires_at,
        result.degraded,
        _json(result.tls),
        _json(result.evidence),
    )


def _json(part: msgspec.Struct | None) -> str | None:
    return None if part is None else msgspec.json.encode(part).decode()
