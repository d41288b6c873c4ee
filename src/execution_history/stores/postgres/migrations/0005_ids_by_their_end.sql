-- Ids by their last eight characters (sql_fragments.TAIL), by which people name a run; an older process needs no such index.
CREATE INDEX executions_by_id_end ON execution_history.executions (right(execute_id, 8));
