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
    UNIQUE (result_id, scheduled_at)
) PARTITION BY RANGE (scheduled_at);

ALTER SEQUENCE health_data_id_seq OWNED BY health_data.id;

CREATE INDEX health_data_monitor_idx ON health_data (monitor, scheduled_at DESC);
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
            ADD COLUMN certificate_expires_at timestamptz;
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
