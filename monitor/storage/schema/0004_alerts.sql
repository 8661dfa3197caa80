-- Who is told of the changes. Deciding turns changes into deliveries, in one transaction; sending works deliveries
-- off, one after the other. Instants are Unix seconds; those of leases are by the database's own clock.

ALTER TABLE health_changes ADD COLUMN decided_at double precision; -- null: it is open whom to tell
CREATE INDEX health_changes_undecided_idx ON health_changes (id) WHERE decided_at IS NULL;

CREATE TABLE health_deliveries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel text NOT NULL,
    about text NOT NULL,                  -- told to a channel once
    subject text NOT NULL,                -- deliveries of one subject go out in their order
    alert jsonb NOT NULL,
    created_at double precision NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    due_at double precision,              -- when to try next, also if whoever is sending it dies; null: done
    sent_at double precision,
    failed_at double precision,           -- given up, see error
    error text,                           -- of the last attempt
    UNIQUE (about, channel)
);
CREATE INDEX health_deliveries_due_idx ON health_deliveries (channel, id) WHERE due_at IS NOT NULL;
CREATE INDEX health_deliveries_subject_idx ON health_deliveries (channel, subject, id) WHERE due_at IS NOT NULL;
CREATE INDEX health_deliveries_created_idx ON health_deliveries USING brin (created_at);

-- Which channels know of an incident: they are told of its end.
CREATE TABLE health_told (
    incident_id bigint NOT NULL REFERENCES health_incidents,
    channel text NOT NULL,
    told_at double precision NOT NULL,
    reminded_at double precision NOT NULL,
    together bigint,                      -- the same for incidents that were told in one message
    PRIMARY KEY (incident_id, channel)
);

CREATE TABLE health_acknowledgements (
    incident_id bigint PRIMARY KEY REFERENCES health_incidents,
    at double precision NOT NULL,
    who text NOT NULL,
    why text NOT NULL
);

-- The newest row of a monitor holds.
CREATE TABLE health_silences (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    monitor text NOT NULL,
    until double precision NOT NULL,
    at double precision NOT NULL,
    who text NOT NULL,
    why text NOT NULL
);
CREATE INDEX health_silences_monitor_idx ON health_silences (monitor, id);
