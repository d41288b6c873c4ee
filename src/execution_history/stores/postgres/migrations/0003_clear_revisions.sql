-- The revision at which a whole workflow was deleted: its runs with a later one are not meant, whatever their places.
-- An older process leaves it null.
ALTER TABLE execution_history.deletions ADD COLUMN revision bigint;
