-- Failed results whose day left health_data. A column of health_data is one of health_failures, in the same order: a
-- migration that adds one adds it to both.

CREATE TABLE health_failures (LIKE health_data INCLUDING INDEXES) PARTITION BY RANGE (scheduled_at);
