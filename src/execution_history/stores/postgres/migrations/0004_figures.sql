-- What is added up besides, and found by. Rows that an older process writes lack it.
ALTER TABLE execution_history.executions
    ADD COLUMN input_tokens bigint, ADD COLUMN output_tokens bigint, ADD COLUMN cost bigint,
    ADD COLUMN currency text COLLATE "C", ADD COLUMN log_id text COLLATE "C", ADD COLUMN failed_in text COLLATE "C";
CREATE INDEX executions_by_log ON execution_history.executions (log_id, create_time) WHERE log_id IS NOT NULL;
CREATE INDEX executions_nested ON execution_history.executions (create_time, seq) WHERE parent IS NOT NULL;
CREATE INDEX executions_by_cost ON execution_history.executions (cost, create_time, seq) WHERE cost IS NOT NULL;
CREATE INDEX executions_by_workflow_cost ON execution_history.executions (workflow_id, cost, create_time, seq)
    WHERE cost IS NOT NULL;
CREATE INDEX executions_priced ON execution_history.executions (create_time) INCLUDE (currency, cost)
    WHERE cost IS NOT NULL;
ALTER TABLE execution_history.rollups
    ADD COLUMN input_tokens bigint NOT NULL DEFAULT 0, ADD COLUMN output_tokens bigint NOT NULL DEFAULT 0;
ALTER TABLE execution_history.total_rollups
    ADD COLUMN input_tokens bigint NOT NULL DEFAULT 0, ADD COLUMN output_tokens bigint NOT NULL DEFAULT 0;
ALTER TABLE execution_history.nodes ADD COLUMN input_tokens bigint, ADD COLUMN output_tokens bigint;
CREATE INDEX executions_with_error ON execution_history.executions (create_time, seq) WHERE error_code IS NOT NULL;
CREATE INDEX executions_tagged ON execution_history.executions (create_time, seq) WHERE tags IS NOT NULL;
-- What the runs of an hour that have a price have cost, in millionths of a currency; runs counts them.
CREATE TABLE execution_history.costs (
    workflow_id text COLLATE "C" NOT NULL,
    hour bigint NOT NULL,
    currency text COLLATE "C" NOT NULL,
    slot smallint NOT NULL,
    runs bigint NOT NULL,
    cost bigint NOT NULL,
    PRIMARY KEY (workflow_id, hour, currency, slot)
);
CREATE TABLE execution_history.total_costs (
    hour bigint NOT NULL,
    currency text COLLATE "C" NOT NULL,
    slot smallint NOT NULL,
    runs bigint NOT NULL,
    cost bigint NOT NULL,
    PRIMARY KEY (hour, currency, slot)
);
