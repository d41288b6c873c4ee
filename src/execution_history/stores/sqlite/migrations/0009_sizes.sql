-- The bytes of JSON that the records of a workflow have together. The plus sign keeps the order of the table, which is
-- read once, from that of an index.
ALTER TABLE workflows ADD COLUMN size INTEGER NOT NULL DEFAULT 0;

UPDATE workflows SET size = s.size
FROM (SELECT workflow, sum(size) AS size FROM executions GROUP BY +workflow) s
WHERE s.workflow = workflows.id;

-- The last deleted first.
CREATE INDEX bin_by_deletion ON bin (deleted_at DESC, workflow_id, execute_id);
