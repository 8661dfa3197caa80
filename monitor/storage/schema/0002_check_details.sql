-- What a check saw beside the response: all null in rows of before.

ALTER TABLE health_data
    ADD COLUMN degraded boolean,
    ADD COLUMN tls jsonb,
    ADD COLUMN evidence jsonb;
