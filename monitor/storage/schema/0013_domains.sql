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
