-- The name of the rule of retention that removed a run; null where people did.
ALTER TABLE execution_history.bin ADD COLUMN rule text;
