-- Slow checks in a row can be an incident.

ALTER TABLE health_incidents
    DROP CONSTRAINT health_incidents_kind_check,
    ADD CONSTRAINT health_incidents_kind_check
        CHECK (kind IN ('down', 'partial', 'degraded', 'no_data', 'flapping')) NOT VALID;
ALTER TABLE health_incidents VALIDATE CONSTRAINT health_incidents_kind_check;
