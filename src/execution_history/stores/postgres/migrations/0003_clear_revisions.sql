-- The revision at which a whole workflow was deleted, and the version of that deletion: its runs with a later revision are
-- not meant, whatever their places. An older process changes neither.
ALTER TABLE execution_history.deletions ADD COLUMN revision bigint, ADD COLUMN revision_of bigint;
