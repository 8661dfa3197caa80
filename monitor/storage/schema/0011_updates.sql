-- What people write about an incident for customers. Instants are Unix seconds.

CREATE TABLE health_updates (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident_id bigint NOT NULL REFERENCES health_incidents,
    at double precision NOT NULL,
    who text NOT NULL,
    text text NOT NULL
);
CREATE INDEX health_updates_incident_idx ON health_updates (incident_id, id);
