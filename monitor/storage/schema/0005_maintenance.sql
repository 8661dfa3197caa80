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
