-- With which revision a record came, so that the change feed tells a new one from a changed one; 0: before this was kept.
ALTER TABLE executions ADD COLUMN first_revision INTEGER NOT NULL DEFAULT 0;
