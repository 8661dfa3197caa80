-- Lists leave out the outages of a monitor that was flapping: for each row they look for such an incident.

CREATE INDEX health_incidents_flapping_idx ON health_incidents (monitor, started_at) WHERE kind = 'flapping';
