-- One unique index that also serves the pages, instead of one of random ids and one for the pages. The result_id
-- of a row with a monitor names its monitor and slot, so that the row is as unique in both. What has no monitor
-- (messages of the program's first version) is found by its result_id alone. Readers wait only while the old
-- indexes are dropped.

CREATE UNIQUE INDEX health_data_identity_idx ON health_data (monitor, scheduled_at, result_id);
CREATE UNIQUE INDEX health_data_no_monitor_idx ON health_data (result_id, scheduled_at) WHERE monitor IS NULL;

ALTER TABLE health_data DROP CONSTRAINT health_data_result_id_scheduled_at_key;
DROP INDEX health_data_monitor_idx;
