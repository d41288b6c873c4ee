-- The name of the rule of retention that removed a run; null where people did.
ALTER TABLE bin ADD COLUMN rule TEXT;
