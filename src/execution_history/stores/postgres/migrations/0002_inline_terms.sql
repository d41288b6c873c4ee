-- Terms stay in the row of their record: a search that walks rows reads them, and a place of their own is another write.
ALTER TABLE execution_history.executions SET (toast_tuple_target = 8160);
