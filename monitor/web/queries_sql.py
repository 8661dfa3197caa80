"""The statements of what pages and the API read. Each stands whole, so that it can be pasted into psql."""

STATUSES = "SELECT monitor, status FROM health_states"

STATES = """
SELECT state.monitor, state.status, state.last_at, incident.started_at, incident.reason, incident.detail
FROM health_states AS state
LEFT JOIN LATERAL (
    SELECT CASE WHEN kind <> 'flapping' THEN started_at END AS started_at, reason, detail
    FROM health_incidents
    WHERE monitor = state.monitor AND ended_at IS NULL
    -- Without data, that an outage went on before is not what is known now; flapping is last.
    ORDER BY state.status = 'unknown' AND kind = 'no_data' DESC, started_at LIMIT 1
) AS incident ON true
WHERE state.monitor = ANY($1)
"""

LATEST = """
SELECT wanted.monitor, latest.*
FROM unnest($1::text[]) AS wanted (monitor)
CROSS JOIN LATERAL (
    SELECT time, extract(epoch FROM certificate_expires_at)::float8
    FROM health_data WHERE monitor = wanted.monitor AND scheduled_at > $2
    ORDER BY scheduled_at DESC LIMIT 1
) AS latest
"""

HOUR_SUMS = """
SELECT monitor, hour, up_s, degraded_s, down_s, maintenance_s, up, degraded, down, unknown,
       response_times, slowest_s, resolve_s, connect_s, tls_s, processing_s, transfer_s
FROM health_hours WHERE monitor = ANY($1) AND hour >= $2 AND hour < $3
"""

DAY_SUMS = """
SELECT monitor, day, up_s, degraded_s, down_s, maintenance_s, up, degraded, down, unknown,
       response_times, slowest_s, resolve_s, connect_s, tls_s, processing_s, transfer_s
FROM health_days WHERE monitor = ANY($1) AND day >= $2 AND day < $3
"""

DAYS = """
SELECT monitor, day, sum(up_s), sum(degraded_s), sum(down_s), sum(maintenance_s), count(DISTINCT location)
FROM (
    SELECT monitor, location, day, up_s, degraded_s, down_s, maintenance_s
    FROM health_days WHERE monitor = ANY($1) AND day >= $2 AND day < $3
    UNION ALL
    SELECT monitor, location, hour / 24, up_s, degraded_s, down_s, maintenance_s
    FROM health_hours WHERE monitor = ANY($1) AND hour >= $4 AND hour < $5
) AS known GROUP BY monitor, day
"""

HOURS = """
SELECT monitor, sum(up_s), sum(degraded_s), sum(down_s), sum(maintenance_s), count(DISTINCT location)
FROM health_hours WHERE monitor = ANY($1) AND hour >= $2 AND hour < $3
GROUP BY monitor
"""

# With $9 false, an outage is left out if the monitor was flapping for all of its time.
INCIDENTS = """
SELECT id, monitor, kind, started_at, noticed_at, ended_at, past, reason, detail, locations,
       (SELECT at FROM health_acknowledgements WHERE incident_id = incident.id)
FROM health_incidents AS incident
WHERE ($1::text[] IS NULL OR monitor = ANY($1)) AND started_at < $3 AND (ended_at IS NULL OR ended_at >= $2)
  AND ($4::boolean IS NULL OR (ended_at IS NULL) = $4) AND (started_at, id) < ($5, $6)
  AND ($7::text IS NULL OR kind = $7)
  AND ($9 OR kind NOT IN ('down', 'partial', 'degraded') OR NOT EXISTS (
    SELECT FROM health_incidents AS flapping
    WHERE flapping.kind = 'flapping' AND flapping.monitor = incident.monitor
      AND flapping.started_at <= incident.started_at
      AND (flapping.ended_at IS NULL OR flapping.ended_at >= incident.ended_at)))
ORDER BY started_at DESC, id DESC LIMIT $8
"""

INCIDENT_COUNTS = """
SELECT monitor, kind, count(*) AS count FROM health_incidents
WHERE monitor = ANY($1) AND started_at < $3 AND (ended_at IS NULL OR ended_at >= $2) GROUP BY monitor, kind
"""

INCIDENT = """
SELECT id, monitor, kind, started_at, noticed_at, ended_at, past, reason, detail, locations,
       (SELECT at FROM health_acknowledgements WHERE incident_id = $1)
FROM health_incidents WHERE id = $1
"""

# With those of the last outages of a monitor while it was flapping.
CHANGES = """
WITH outage AS (
    SELECT outage.id FROM health_incidents AS flapping JOIN health_incidents AS outage USING (monitor)
    WHERE flapping.id = $1 AND flapping.kind = 'flapping' AND outage.kind IN ('down', 'partial', 'degraded')
      AND flapping.started_at <= outage.started_at
      AND (flapping.ended_at IS NULL OR flapping.ended_at >= outage.ended_at)
    ORDER BY outage.started_at DESC LIMIT $2
)
SELECT id, incident_id, kind, change, at, noticed_at, reason, detail, locations, quiet FROM health_changes
WHERE incident_id = ANY(ARRAY(SELECT id FROM outage) || $1::bigint)
ORDER BY at, id
"""

DELIVERIES = """
SELECT channel, about, created_at, attempts, sent_at, failed_at, error FROM health_deliveries
WHERE created_at >= $2 AND subject IN (
    SELECT 'incident ' || together FROM health_told WHERE incident_id = $1
    UNION SELECT 'incident ' || $1::bigint)
ORDER BY id
"""

LAST_CHANGE = "SELECT coalesce(max(id), 0) FROM health_changes"

CHANGES_AFTER = """
SELECT id, incident_id, monitor, kind, change, at, reason, detail FROM health_changes
WHERE id > $1 ORDER BY id LIMIT $2
"""

_RESULT = """
SELECT id, timestamp, scheduled_at, location, up, coalesce(degraded, false) AS degraded, status, time, reason,
       detail, resolve_s, connect_s, tls_s, processing_s, transfer_s, redirects, http_version, host(ip) AS ip,
       evidence, tls,
       extract(epoch FROM certificate_expires_at)::float8 AS certificate_expires_at, steps
FROM (SELECT * FROM health_data UNION ALL SELECT * FROM health_failures) AS result
WHERE monitor = $1 AND scheduled_at >= $2 AND scheduled_at <= $3"""

RESULTS = f"""{_RESULT} AND (scheduled_at, id) < ($3, $4)
ORDER BY scheduled_at DESC, id DESC LIMIT $5
"""

# In the time of an incident of one of several locations most results are good: no more are looked through.
LAST_FAILED = f"""
SELECT * FROM (
    {_RESULT}
    ORDER BY scheduled_at DESC, id DESC LIMIT 1000
) AS latest WHERE NOT up LIMIT 1
"""  # noqa: S608 - all of it is written here

STEPS = """
SELECT floor(scheduled_at / $4) * $4 AS at, step ->> 'name', avg((step ->> 'seconds')::float8)
FROM health_data CROSS JOIN LATERAL jsonb_array_elements(steps) AS step
WHERE monitor = $1 AND scheduled_at >= $2 AND scheduled_at < $3 AND up
GROUP BY 1, 2
"""

COURSE = """
SELECT floor(scheduled_at / $4) * $4 AS at,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY time), percentile_cont(0.95) WITHIN GROUP (ORDER BY time),
       percentile_cont(0.99) WITHIN GROUP (ORDER BY time), max(time), avg(coalesce(resolve_s, 0)),
       avg(coalesce(connect_s, 0)), avg(coalesce(tls_s, 0)), avg(coalesce(processing_s, 0)),
       avg(coalesce(transfer_s, 0))
FROM health_data WHERE monitor = $1 AND scheduled_at >= $2 AND scheduled_at < $3 AND up
GROUP BY GROUPING SETS ((1), ()) ORDER BY 1 NULLS LAST
"""
