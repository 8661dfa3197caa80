-- What each step of a check found, in their order: null in rows of before, and where a monitor has no steps.

ALTER TABLE health_data ADD COLUMN steps jsonb;
ALTER TABLE health_failures ADD COLUMN steps jsonb;
