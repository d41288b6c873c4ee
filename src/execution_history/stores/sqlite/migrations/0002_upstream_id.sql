-- The id that a run has upstream, where it is known: resumes, polls and people look for it.
ALTER TABLE executions ADD COLUMN upstream_id TEXT;

CREATE INDEX executions_by_upstream ON executions (upstream_id) WHERE upstream_id IS NOT NULL;
