"""The SQL of alerting."""

ANYTHING_TO_DECIDE = """
SELECT WHERE EXISTS (SELECT FROM health_changes WHERE decided_at IS NULL)
    OR EXISTS (SELECT FROM health_incidents WHERE ended_at IS NULL)
"""

LOCK_DECIDING = "SELECT pg_try_advisory_xact_lock($1)"

CHANGES = """
SELECT change.id, change.change, change.at, change.noticed_at, change.reason, change.detail, change.quiet,
       incident.id, incident.monitor, incident.kind, incident.started_at, incident.noticed_at,
       incident.ended_at, incident.reason, incident.detail, incident.locations
FROM health_changes AS change JOIN health_incidents AS incident ON incident.id = change.incident_id
WHERE decided_at IS NULL ORDER BY change.id LIMIT $1
"""

OPEN = """
SELECT id, monitor, kind, started_at, noticed_at, ended_at, reason, detail, locations
FROM health_incidents WHERE ended_at IS NULL ORDER BY id
"""

RECENT = """
SELECT id, monitor, kind, started_at, noticed_at, ended_at, reason, detail, locations
FROM health_incidents WHERE monitor = ANY($1) AND ended_at > $2
"""

NOTIFIED = """
SELECT incident_id, channel, told_at, reminded_at, together
FROM health_told WHERE incident_id = ANY($1) ORDER BY incident_id, channel
"""

ACKNOWLEDGEMENT = "SELECT at, who, why FROM health_acknowledgements WHERE incident_id = $1"

ACKNOWLEDGED = "SELECT incident_id FROM health_acknowledgements WHERE incident_id = ANY($1)"

SILENCES = """
SELECT monitor, until, at, who, why FROM (
    SELECT DISTINCT ON (monitor) * FROM health_silences
    WHERE $1::text[] IS NULL OR monitor = ANY($1) ORDER BY monitor, id DESC
) AS newest
WHERE until > $2
"""

STATES = "SELECT monitor, health FROM health_states WHERE monitor = ANY($1)"

DOWN_OR_PARTIAL = (
    "SELECT monitor FROM health_states WHERE monitor = ANY($1) AND status IN ('down', 'partial')"
)

DECIDED = "UPDATE health_changes SET decided_at = $2 WHERE id = ANY($1)"

# Nobody needs a reminder of what they do not have yet: they would all come at once.
DELIVER = """
INSERT INTO health_deliveries (channel, about, subject, alert, created_at, due_at)
SELECT channel, about, subject, alert::jsonb, $5, extract(epoch FROM clock_timestamp())
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS delivery (channel, about, subject, alert)
WHERE about NOT LIKE 'reminder %' OR NOT EXISTS (
    SELECT FROM health_deliveries AS waiting
    WHERE waiting.channel = delivery.channel AND waiting.subject = delivery.subject
      AND waiting.due_at IS NOT NULL)
ON CONFLICT (about, channel) DO NOTHING
"""

STORE_NOTIFIED = """
INSERT INTO health_told (incident_id, channel, told_at, reminded_at, together)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::float8[], $4::float8[], $5::bigint[])
ON CONFLICT (incident_id, channel) DO UPDATE
SET told_at = excluded.told_at, reminded_at = excluded.reminded_at, together = excluded.together
"""

# The clock is the database's, so that processes agree on who holds a delivery, whatever their clocks say. A
# delivery waits for earlier ones of the same monitors: a channel's last alert shows how a monitor is. One
# that is due later than any of them waits was written before the clock was set back.
CLAIM = """
WITH placed AS (
    SELECT id, channel, due_at, min(id) OVER (PARTITION BY channel, concerned->>'monitor') AS first
    FROM health_deliveries LEFT JOIN LATERAL jsonb_array_elements(alert->'monitors') AS concerned ON true
    WHERE channel = ANY($1) AND due_at IS NOT NULL
), next AS (
    SELECT DISTINCT ON (channel) id FROM placed
    GROUP BY channel, id, due_at
    HAVING due_at - extract(epoch FROM clock_timestamp()) NOT BETWEEN 0 AND $3 AND min(first) = id
    ORDER BY channel, id
), mine AS (
    SELECT id FROM health_deliveries
    WHERE id IN (SELECT id FROM next)
      AND due_at - extract(epoch FROM clock_timestamp()) NOT BETWEEN 0 AND $3
    FOR UPDATE SKIP LOCKED
)
UPDATE health_deliveries SET attempts = attempts + 1, due_at = extract(epoch FROM clock_timestamp()) + $2
WHERE id = ANY(ARRAY(SELECT id FROM mine))
RETURNING id, channel, attempts, alert
"""

DELIVERED = """
UPDATE health_deliveries SET sent_at = extract(epoch FROM clock_timestamp()), due_at = NULL, error = NULL
WHERE id = $1 AND sent_at IS NULL
"""

POSTPONED = """
UPDATE health_deliveries
SET due_at = extract(epoch FROM clock_timestamp()) + $4, error = $3,
    refused_at = coalesce(refused_at, extract(epoch FROM clock_timestamp()))
WHERE id = $1 AND attempts = $2 AND due_at IS NOT NULL
"""

REFUSED_ALONE = """
UPDATE health_deliveries AS delivery SET failed_at = extract(epoch FROM clock_timestamp()), due_at = NULL,
    error = error || '; given up: the channel takes others'
WHERE id = $1 AND attempts = $2 AND attempts >= $3 AND due_at IS NOT NULL AND EXISTS (
    SELECT FROM health_deliveries AS taken
    WHERE taken.channel = delivery.channel AND taken.sent_at > delivery.refused_at
      AND taken.sent_at <= extract(epoch FROM clock_timestamp()) - $4)
RETURNING true
"""

GIVEN_UP = """
UPDATE health_deliveries SET failed_at = extract(epoch FROM clock_timestamp()), due_at = NULL,
    error = coalesce(error || '; given up', 'given up: no process has this channel')
WHERE due_at IS NOT NULL AND created_at < extract(epoch FROM clock_timestamp()) - $1
RETURNING channel
"""

WAITING = """
SELECT channel, count(*), min(created_at) FROM health_deliveries WHERE due_at IS NOT NULL GROUP BY channel
"""

# That people were warned of a certificate or a domain is remembered for as long as it can be seen.
FORGOTTEN = """
DELETE FROM health_deliveries
WHERE due_at IS NULL AND created_at < extract(epoch FROM clock_timestamp()) - $1
  AND NOT EXISTS (
    SELECT WHERE (about LIKE 'certificate %' OR about LIKE 'domain %')
             AND created_at > extract(epoch FROM clock_timestamp()) - 5 * $1)
"""

# Among the newest $3 results of each monitor: without a limit, a site without TLS has all of them looked at.
CHAINS = """
SELECT newest.* FROM unnest($1::text[]) AS wanted (name)
CROSS JOIN LATERAL (
    SELECT monitor, scheduled_at, extract(epoch FROM certificate_expires_at)::float8,
           tls->>'sha256', tls->>'subject'
    FROM (
        SELECT monitor, scheduled_at, certificate_expires_at, tls FROM health_data
        WHERE monitor = wanted.name AND scheduled_at > $2
        ORDER BY scheduled_at DESC LIMIT $3
    ) AS latest
    WHERE certificate_expires_at IS NOT NULL
    ORDER BY scheduled_at DESC LIMIT 1
) AS newest
"""

ACKNOWLEDGE = """
INSERT INTO health_acknowledgements (incident_id, at, who, why)
SELECT id, $2, $3, $4 FROM health_incidents WHERE id = $1 AND ended_at IS NULL
ON CONFLICT DO NOTHING RETURNING incident_id
"""

POST_UPDATE = """
INSERT INTO health_updates (incident_id, at, who, text)
SELECT id, $2, $3, $4 FROM health_incidents WHERE id = $1 RETURNING id
"""

UPDATES = """
SELECT incident_id, id, at, who, text FROM health_updates WHERE incident_id = ANY($1) ORDER BY id
"""

END_ACKNOWLEDGEMENT = """
DELETE FROM health_acknowledgements WHERE incident_id IN (
    SELECT id FROM health_incidents WHERE id = $1 AND ended_at IS NULL)
RETURNING at, who, why
"""

# Whoever acknowledged that a monitor is flapping knows of its outages, too.
ALL_ACKNOWLEDGED = """
SELECT monitor, NOT EXISTS (
           SELECT FROM health_incidents AS other
           WHERE other.monitor = incident.monitor AND other.ended_at IS NULL
             AND NOT EXISTS (SELECT FROM health_acknowledgements WHERE incident_id = other.id)
             AND (other.kind NOT IN ('down', 'partial', 'degraded') OR NOT EXISTS (
               SELECT FROM health_incidents AS flapping
               WHERE flapping.kind = 'flapping' AND flapping.monitor = other.monitor
                 AND flapping.ended_at IS NULL AND flapping.started_at <= other.started_at))),
       id, at, who, why
FROM health_incidents AS incident JOIN health_acknowledgements ON incident_id = id
WHERE ended_at IS NULL ORDER BY id
"""

SILENCE = "INSERT INTO health_silences (monitor, until, at, who, why) VALUES ($1, $2, $3, $4, $5)"

END_SILENCE = "UPDATE health_silences SET until = $2 WHERE monitor = $1 AND until > $2"
