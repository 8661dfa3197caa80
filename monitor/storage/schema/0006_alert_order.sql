-- Deliveries go out in their order when they tell of the same monitor, whatever incidents they are about. Monitors
-- are those that `alert` names; `subject` only says which incidents a delivery belongs to.

ALTER TABLE health_deliveries ADD COLUMN refused_at double precision; -- when the channel first did not take it
DROP INDEX health_deliveries_subject_idx;
CREATE INDEX health_deliveries_sent_idx ON health_deliveries (channel, sent_at) WHERE sent_at IS NOT NULL;
