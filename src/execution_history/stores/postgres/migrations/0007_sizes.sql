-- The bytes of JSON that the records of a workflow have together. What an older process writes is not counted.
ALTER TABLE execution_history.counters ADD COLUMN size bigint NOT NULL DEFAULT 0;
INSERT INTO execution_history.counters AS t
    SELECT workflow_id, 0, 0, 0, 0, 0, 0, 0, sum(size)::bigint FROM execution_history.executions GROUP BY workflow_id
    ON CONFLICT (workflow_id, slot) DO UPDATE SET size = excluded.size;
-- The last deleted first.
CREATE INDEX bin_by_deletion ON execution_history.bin (deleted_at DESC, workflow_id, execute_id);
