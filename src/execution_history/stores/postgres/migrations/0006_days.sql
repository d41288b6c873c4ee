-- The version of a row at which a process wrote all of its columns that knows those of migration 4; an older one leaves it
-- behind. Rows from before this step have 0 and are looked at once, those that go on like what an older process writes.
ALTER TABLE execution_history.executions ADD COLUMN filled bigint DEFAULT 0;
ALTER TABLE execution_history.executions ALTER COLUMN filled DROP DEFAULT;
UPDATE execution_history.executions SET filled = NULL WHERE status IN (0, 3);
CREATE INDEX executions_unfilled ON execution_history.executions (workflow_id, create_time)
    WHERE status NOT IN (0, 3) AND (filled IS NULL OR (filled <> 0 AND filled <> version));
-- Up to which place in the order of arrival the rows from before were looked at, and where they end.
CREATE TABLE execution_history.backfill (
    id smallint PRIMARY KEY CHECK (id = 1),
    place bigint NOT NULL,
    goal bigint NOT NULL
);
INSERT INTO execution_history.backfill SELECT 1, 0, coalesce(max(seq), 0) FROM execution_history.executions;
-- The runs of a workflow that began in a day, and each of their nodes (stores/day_sums.py), added up behind the writes
-- (days.py); node is U+0001 for the workflow as a whole, which is no text that is stored.
CREATE TABLE execution_history.days (
    workflow_id text COLLATE "C" NOT NULL,
    day bigint NOT NULL,
    node text COLLATE "C" NOT NULL,
    running bigint NOT NULL,
    success bigint NOT NULL,
    failed bigint NOT NULL,
    interrupted bigint NOT NULL,
    other bigint NOT NULL,
    tokens bigint NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    hours bytea NOT NULL,
    durations bytea NOT NULL,
    PRIMARY KEY (workflow_id, day, node)
);
-- Of which hours, until excludes the last, a day is the sum, and what the rollups of these hours were then: where they are
-- something else now, or stamp is null, a run has changed, and the day is counted from rows until it is added up again.
CREATE TABLE execution_history.day_stamps (
    workflow_id text COLLATE "C" NOT NULL,
    day bigint NOT NULL,
    until bigint NOT NULL,
    stamp bigint[],
    has_nodes boolean NOT NULL DEFAULT true,
    PRIMARY KEY (workflow_id, day)
);
