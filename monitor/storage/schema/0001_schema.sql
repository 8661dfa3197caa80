-- One row a check, one partition a UTC day of scheduled_at; the day partitions are made by the program.
-- A table of the program's first version becomes the default partition, with its rows, ids and grants, and
-- keeps receiving what that program still inserts: those rows have no scheduled_at.

DO $$
DECLARE
    shape text[];
    highest bigint;
    original_sequence regclass;
BEGIN
    IF to_regclass('health_data') IS NULL THEN
        CREATE SEQUENCE health_data_id_seq;
        RETURN;
    END IF;

    SELECT array_agg(attname || ' ' || CASE
               WHEN attname = 'id' AND atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) THEN 'integer'
               WHEN attname IN ('timestamp', 'time') AND atttypid IN (
                   'int2'::regtype, 'int4'::regtype, 'int8'::regtype,
                   'numeric'::regtype, 'float4'::regtype, 'float8'::regtype) THEN 'number'
               WHEN attname = 'data' AND atttypid IN ('text'::regtype, 'varchar'::regtype) THEN 'text'
               WHEN attname = 'status' AND atttypid IN ('int2'::regtype, 'int4'::regtype) THEN 'integer'
               ELSE 'of another type' END ORDER BY attname)
      INTO shape
      FROM pg_attribute
     WHERE attrelid = 'health_data'::regclass AND attnum > 0 AND NOT attisdropped;
    IF shape <> ARRAY['data text', 'id integer', 'status integer', 'time number', 'timestamp number']
       OR (SELECT relkind <> 'r' OR relispartition FROM pg_class WHERE oid = 'health_data'::regclass) THEN
        RAISE EXCEPTION 'there is a health_data that this program did not make: rename it, or use another database';
    END IF;

    LOCK TABLE health_data IN ACCESS EXCLUSIVE MODE;
    original_sequence := pg_get_serial_sequence('health_data', 'id');
    highest := greatest(pg_sequence_last_value(original_sequence), (SELECT max(id) FROM health_data));
    IF (SELECT attidentity <> '' FROM pg_attribute WHERE attrelid = 'health_data'::regclass AND attname = 'id') THEN
        ALTER TABLE health_data ALTER COLUMN id DROP IDENTITY;
        original_sequence := NULL;
    END IF;
    IF original_sequence IS NULL THEN
        CREATE SEQUENCE IF NOT EXISTS health_data_id_seq;
    ELSE
        EXECUTE format('ALTER SEQUENCE %s AS bigint OWNED BY NONE', original_sequence);
        IF original_sequence <> coalesce(to_regclass('health_data_id_seq')::oid, 0) THEN
            EXECUTE format('ALTER SEQUENCE %s RENAME TO health_data_id_seq', original_sequence);
        END IF;
    END IF;
    IF highest IS NOT NULL THEN
        PERFORM setval('health_data_id_seq', highest);
    END IF;

    ALTER TABLE health_data
        ALTER COLUMN id TYPE bigint,
        ALTER COLUMN timestamp TYPE double precision,
        ALTER COLUMN data TYPE text,
        ALTER COLUMN status TYPE integer,
        ALTER COLUMN time TYPE double precision;
    ALTER TABLE health_data RENAME TO health_data_original;
END $$;

CREATE TABLE health_data (
    id bigint NOT NULL DEFAULT nextval('health_data_id_seq'),
    timestamp double precision,
    data text,
    status integer,
    time double precision,
    result_id uuid,
    monitor text,
    url text,
    location text,
    scheduled_at double precision,
    up boolean,
    reason text,
    detail text,
    resolve_s real,
    connect_s real,
    tls_s real,
    processing_s real,
    transfer_s real,
    redirects integer,
    http_version text,
    ip inet,
    body_bytes bigint,
    body_truncated boolean,
    certificate_expires_at timestamptz,
    degraded boolean,
    tls jsonb,
    evidence jsonb,
    steps jsonb
) PARTITION BY RANGE (scheduled_at);

ALTER SEQUENCE health_data_id_seq OWNED BY health_data.id;

-- The result_id of a row with a monitor names its monitor and slot, so that the row is as unique in all three; the
-- same index serves the pages. What has no monitor (messages of the program's first version) is found by its
-- result_id alone.
CREATE UNIQUE INDEX health_data_identity_idx ON health_data (monitor, scheduled_at, result_id);
CREATE UNIQUE INDEX health_data_no_monitor_idx ON health_data (result_id, scheduled_at) WHERE monitor IS NULL;
CREATE INDEX health_data_timestamp_idx ON health_data USING brin (timestamp);

DO $$
DECLARE
    granted record;
BEGIN
    IF to_regclass('health_data_original') IS NULL THEN
        CREATE TABLE health_data_original (LIKE health_data INCLUDING DEFAULTS);
    ELSE
        ALTER TABLE health_data_original
            ALTER COLUMN id SET DEFAULT nextval('health_data_id_seq'),
            ADD COLUMN result_id uuid,
            ADD COLUMN monitor text,
            ADD COLUMN url text,
            ADD COLUMN location text,
            ADD COLUMN scheduled_at double precision,
            ADD COLUMN up boolean,
            ADD COLUMN reason text,
            ADD COLUMN detail text,
            ADD COLUMN resolve_s real,
            ADD COLUMN connect_s real,
            ADD COLUMN tls_s real,
            ADD COLUMN processing_s real,
            ADD COLUMN transfer_s real,
            ADD COLUMN redirects integer,
            ADD COLUMN http_version text,
            ADD COLUMN ip inet,
            ADD COLUMN body_bytes bigint,
            ADD COLUMN body_truncated boolean,
            ADD COLUMN certificate_expires_at timestamptz,
            ADD COLUMN degraded boolean,
            ADD COLUMN tls jsonb,
            ADD COLUMN evidence jsonb,
            ADD COLUMN steps jsonb;
    END IF;

    -- Nothing with a slot ever lands here, so a new day partition needs no scan of this one.
    ALTER TABLE health_data_original ADD CONSTRAINT no_slot CHECK (scheduled_at IS NULL);
    ALTER TABLE health_data_original ALTER COLUMN id SET NOT NULL;
    ALTER TABLE health_data ATTACH PARTITION health_data_original DEFAULT;

    FOR granted IN
        SELECT privilege_type, is_grantable, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS grantee
          FROM pg_class, aclexplode(relacl)
         WHERE oid = 'health_data_original'::regclass AND grantee <> relowner
    LOOP
        EXECUTE format('GRANT %s ON health_data TO %s %s', granted.privilege_type, granted.grantee,
                       CASE WHEN granted.is_grantable THEN 'WITH GRANT OPTION' ELSE '' END);
    END LOOP;
END $$;

-- Failed results whose day left health_data. A column of health_data is one of health_failures, in the same order.
CREATE TABLE health_failures (LIKE health_data INCLUDING INDEXES) PARTITION BY RANGE (scheduled_at);

-- What the results come to: where each monitor stands, its incidents, what changed, and sums of every hour and
-- day that outlive the rows. All of it is written in the transaction of the results that caused it.
-- Instants are Unix seconds of the results' slots, except noticed_at: the storing process's own clock.

CREATE TABLE health_incidents (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    monitor text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('down', 'partial', 'degraded', 'no_data', 'flapping')),
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
-- Lists leave out the outages of a monitor that was flapping: for each row they look for such an incident.
CREATE INDEX health_incidents_flapping_idx ON health_incidents (monitor, started_at) WHERE kind = 'flapping';

-- One row for each thing to tell, never changed after; ids are not in the order of the commits.
CREATE TABLE health_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident_id bigint NOT NULL REFERENCES health_incidents,
    monitor text NOT NULL,
    kind text NOT NULL,
    -- past: opened and resolved long ago; changed: it has another reason, which is nothing to tell
    change text NOT NULL CHECK (change IN ('opened', 'changed', 'resolved', 'past')),
    at double precision NOT NULL,         -- opened: the result that decided it; resolved, past: ended_at
    noticed_at double precision NOT NULL,
    reason text,
    detail text,
    locations text[] NOT NULL DEFAULT '{}',
    quiet boolean NOT NULL DEFAULT false, -- the monitor is flapping, which was told
    decided_at double precision           -- null: it is open whom to tell
);
CREATE INDEX health_changes_incident_idx ON health_changes (incident_id);
CREATE INDEX health_changes_undecided_idx ON health_changes (id) WHERE decided_at IS NULL;

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

-- Who is told of the changes. Deciding turns changes into deliveries, in one transaction; sending works deliveries
-- off, those that tell of the same monitor in their order. Instants are Unix seconds; those of leases are by the
-- database's own clock.

CREATE TABLE health_deliveries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel text NOT NULL,
    about text NOT NULL,                  -- told to a channel once
    subject text NOT NULL,                -- the incidents that it belongs to
    alert jsonb NOT NULL,
    created_at double precision NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    due_at double precision,              -- when to try next, also if whoever is sending it dies; null: done
    sent_at double precision,
    failed_at double precision,           -- given up, see error
    error text,                           -- of the last attempt
    refused_at double precision,          -- when the channel first did not take it
    UNIQUE (about, channel)
);
CREATE INDEX health_deliveries_due_idx ON health_deliveries (channel, id) WHERE due_at IS NOT NULL;
CREATE INDEX health_deliveries_sent_idx ON health_deliveries (channel, sent_at) WHERE sent_at IS NOT NULL;
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

-- Maintenance windows that people make. Rows stay for good; one that is ended before its time says so. Instants are
-- Unix seconds.

CREATE TABLE health_maintenance (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    monitor text,
    group_name text,                      -- neither monitor nor group: of all
    starts_at double precision NOT NULL,
    ends_at double precision NOT NULL,
    at double precision NOT NULL,
    who text NOT NULL,
    why text NOT NULL,
    ended_at double precision,            -- the end instead of ends_at; that of one that was taken back is its start
    CHECK (monitor IS NULL OR group_name IS NULL),
    CHECK (starts_at < ends_at AND ends_at - starts_at <= 2678400) -- 31 days: what is open is found by its start
);
CREATE INDEX health_maintenance_ends_idx ON health_maintenance ((coalesce(ended_at, ends_at)));

-- What people write about an incident for customers. Instants are Unix seconds.

CREATE TABLE health_updates (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident_id bigint NOT NULL REFERENCES health_incidents,
    at double precision NOT NULL,
    who text NOT NULL,
    text text NOT NULL
);
CREATE INDEX health_updates_incident_idx ON health_updates (incident_id, id);

-- What registries say of the registrations of domains. One process of all asks about a domain, and all read what came of
-- it. Instants are Unix seconds of the database's own clock.

CREATE TABLE health_domains (
    domain text NOT NULL,
    server text NOT NULL,                 -- that is asked in the place of the registry's own; empty: none
    due_at double precision NOT NULL,     -- when to ask next, also if whoever is asking dies
    asked_at double precision,
    expires_at double precision,          -- as it was said last
    seen_at double precision,             -- when that was
    why text,                             -- why the newest request brought no date
    PRIMARY KEY (domain, server)
);
