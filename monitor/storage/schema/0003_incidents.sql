-- What the results come to: where each monitor stands, its incidents, what changed, and sums of every hour and
-- day that outlive the rows. All of it is written in the transaction of the results that caused it.
-- Instants are Unix seconds of the results' slots, except noticed_at: the storing process's own clock.

CREATE TABLE health_incidents (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    monitor text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('down', 'partial', 'no_data', 'flapping')),
    started_at double precision NOT NULL, -- the first failed check, or the last result before the silence
    noticed_at double precision NOT NULL,
    ended_at double precision,            -- the first passed check; null: open
    past boolean NOT NULL DEFAULT false,  -- it was over before this program could know of it
    reason text,
    detail text,
    locations text[] NOT NULL DEFAULT '{}' -- that agreed when it was opened
);
CREATE UNIQUE INDEX health_incidents_open_idx ON health_incidents (monitor, kind) WHERE ended_at IS NULL;
CREATE INDEX health_incidents_monitor_idx ON health_incidents (monitor, started_at);
CREATE INDEX health_incidents_started_idx ON health_incidents (started_at, id);

-- One row for each thing to tell, never changed after; ids are not in the order of the commits.
CREATE TABLE health_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident_id bigint NOT NULL REFERENCES health_incidents,
    monitor text NOT NULL,
    kind text NOT NULL,
    change text NOT NULL CHECK (change IN ('opened', 'resolved', 'past')), -- past: opened and resolved long ago
    at double precision NOT NULL,         -- opened: the result that decided it; resolved, past: ended_at
    noticed_at double precision NOT NULL,
    reason text,
    detail text,
    locations text[] NOT NULL DEFAULT '{}',
    quiet boolean NOT NULL DEFAULT false  -- the monitor is flapping, which was told
);
CREATE INDEX health_changes_incident_idx ON health_changes (incident_id);

-- One row a monitor, locked by whoever saves its results.
CREATE TABLE health_states (
    monitor text PRIMARY KEY,
    status text NOT NULL CHECK (status IN ('up', 'degraded', 'partial', 'down', 'unknown')),
    last_at double precision NOT NULL,    -- its newest result
    health text NOT NULL                  -- JSON, all that the next result needs to know of those before
) WITH (fillfactor = 50);

-- Seconds that results speak for (the rest of the hour is unknown), and how many results began in it.
CREATE TABLE health_hours (
    monitor text NOT NULL,
    location text NOT NULL,
    hour integer NOT NULL,                -- hours since 1970
    up_s double precision NOT NULL,
    degraded_s double precision NOT NULL,
    down_s double precision NOT NULL,
    maintenance_s double precision NOT NULL DEFAULT 0,
    up integer NOT NULL,
    degraded integer NOT NULL,
    down integer NOT NULL,
    unknown integer NOT NULL,
    response_times integer[] NOT NULL,    -- of what was up, by bucket of uptime.py
    slowest_s double precision NOT NULL,  -- of what was up, as are the seconds of its phases
    resolve_s double precision NOT NULL,
    connect_s double precision NOT NULL,
    tls_s double precision NOT NULL,
    processing_s double precision NOT NULL,
    transfer_s double precision NOT NULL,
    in_day boolean NOT NULL DEFAULT false, -- health_days has it as it is
    PRIMARY KEY (monitor, location, hour)
) WITH (fillfactor = 70);
CREATE INDEX health_hours_hour_idx ON health_hours USING brin (hour) WITH (pages_per_range = 16);
CREATE INDEX health_hours_not_in_day_idx ON health_hours (hour) WHERE NOT in_day;

CREATE TABLE health_days (
    monitor text NOT NULL,
    location text NOT NULL,
    day integer NOT NULL,                 -- days since 1970
    up_s double precision NOT NULL,
    degraded_s double precision NOT NULL,
    down_s double precision NOT NULL,
    maintenance_s double precision NOT NULL,
    up integer NOT NULL,
    degraded integer NOT NULL,
    down integer NOT NULL,
    unknown integer NOT NULL,
    response_times bigint[] NOT NULL,
    slowest_s double precision NOT NULL,
    resolve_s double precision NOT NULL,
    connect_s double precision NOT NULL,
    tls_s double precision NOT NULL,
    processing_s double precision NOT NULL,
    transfer_s double precision NOT NULL,
    PRIMARY KEY (monitor, location, day)
);
CREATE INDEX health_days_day_idx ON health_days (day);
