-- A history in PostgreSQL. All of its tables are in one schema; the name execution_history stands for it in all files.
-- Texts are kept as stored_texts.py writes them: without U+0000, and long ones shortened, their whole text in long_texts.
-- Times are milliseconds since the epoch. On Citus the tables whose key begins with workflow_id are distributed by it.

-- Which steps have been taken, and the oldest code, by its own last step, that works with each.
CREATE TABLE execution_history.migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    oldest_code integer NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- The dictionaries that documents are packed with (stores/compression.py).
CREATE TABLE execution_history.dictionaries (
    number integer PRIMARY KEY,
    content bytea NOT NULL
);

-- Texts that are too long for an index, by what stands for them.
CREATE TABLE execution_history.long_texts (
    key text COLLATE "C" PRIMARY KEY,
    text text COLLATE "C" NOT NULL
);

CREATE SEQUENCE execution_history.arrivals;

-- One row a record. seq is its place in the order of arrival; version rises with every change of the record, also over
-- its deletion, and is never used twice. summary is what lists show of a record that is too large to be read for them.
-- terms are its searchable tokens as numbers (search_terms.py), null for a run that began lately and goes on.
CREATE TABLE execution_history.executions (
    workflow_id text COLLATE "C" NOT NULL,
    execute_id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    version bigint NOT NULL,
    create_time bigint NOT NULL,
    update_time bigint NOT NULL,
    status smallint NOT NULL,
    duration bigint,
    tokens bigint,
    run_mode bigint,
    rating bigint,
    fingerprint bigint,
    size integer NOT NULL,
    packing smallint NOT NULL,
    has_output boolean NOT NULL,
    pinned boolean NOT NULL,
    error_code text COLLATE "C",
    failure text COLLATE "C",
    upstream text COLLATE "C",
    bot text COLLATE "C",
    account text COLLATE "C",
    caller text COLLATE "C",
    conversation text COLLATE "C",
    parent text COLLATE "C",
    tags text[] COLLATE "C",
    failed_nodes text[] COLLATE "C",
    terms integer[],
    document bytea NOT NULL,
    summary bytea,
    PRIMARY KEY (workflow_id, execute_id)
);
-- Every row is written twice, and vacuumed long before a fifth of a large table has changed.
ALTER TABLE execution_history.executions SET
    (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_cost_limit = 1000);
-- Both are packed already.
ALTER TABLE execution_history.executions ALTER COLUMN document SET STORAGE EXTERNAL;
ALTER TABLE execution_history.executions ALTER COLUMN summary SET STORAGE EXTERNAL;

-- With what is counted and added up, so that statistics need not read the rows themselves.
CREATE INDEX executions_by_time ON execution_history.executions (create_time, seq) INCLUDE (status, duration, tokens);
CREATE INDEX executions_by_workflow ON execution_history.executions (workflow_id, create_time, seq)
    INCLUDE (status, duration, tokens);
CREATE INDEX executions_by_workflow_status ON execution_history.executions (workflow_id, status, create_time, seq);
CREATE INDEX executions_by_status ON execution_history.executions (status, create_time, seq);
CREATE INDEX executions_by_id ON execution_history.executions (execute_id);
CREATE INDEX executions_by_duration ON execution_history.executions (duration, create_time, seq)
    WHERE duration IS NOT NULL;
CREATE INDEX executions_by_workflow_duration ON execution_history.executions (workflow_id, duration, create_time, seq)
    WHERE duration IS NOT NULL;
CREATE INDEX executions_by_tokens ON execution_history.executions (tokens, create_time, seq) WHERE tokens IS NOT NULL;
CREATE INDEX executions_by_workflow_tokens ON execution_history.executions (workflow_id, tokens, create_time, seq)
    WHERE tokens IS NOT NULL;
CREATE INDEX executions_by_mode ON execution_history.executions (run_mode, create_time, seq)
    WHERE run_mode IS NOT NULL;
CREATE INDEX executions_by_error ON execution_history.executions (error_code, create_time) WHERE error_code IS NOT NULL;
CREATE INDEX executions_by_fingerprint ON execution_history.executions (fingerprint, create_time, seq)
    WHERE fingerprint IS NOT NULL;
CREATE INDEX executions_by_workflow_failure ON execution_history.executions (workflow_id, create_time, seq)
    INCLUDE (fingerprint, error_code) WHERE fingerprint IS NOT NULL OR error_code IS NOT NULL;
CREATE INDEX executions_by_upstream ON execution_history.executions (upstream) WHERE upstream IS NOT NULL;
CREATE INDEX executions_by_bot ON execution_history.executions (bot, create_time) WHERE bot IS NOT NULL;
CREATE INDEX executions_by_account ON execution_history.executions (account, create_time) WHERE account IS NOT NULL;
CREATE INDEX executions_by_caller ON execution_history.executions (caller, create_time) WHERE caller IS NOT NULL;
CREATE INDEX executions_by_conversation ON execution_history.executions (conversation, create_time)
    WHERE conversation IS NOT NULL;
CREATE INDEX executions_by_parent ON execution_history.executions (parent, create_time) WHERE parent IS NOT NULL;
CREATE INDEX executions_by_rating ON execution_history.executions (rating, create_time) WHERE rating IS NOT NULL;
CREATE INDEX executions_pinned ON execution_history.executions (create_time) WHERE pinned;
CREATE INDEX executions_without_terms ON execution_history.executions (create_time) WHERE terms IS NULL;
CREATE INDEX executions_by_arrival ON execution_history.executions (seq);
CREATE INDEX executions_tags ON execution_history.executions USING gin (tags) WHERE tags IS NOT NULL;
CREATE INDEX executions_failed_nodes ON execution_history.executions USING gin (failed_nodes)
    WHERE failed_nodes IS NOT NULL;
CREATE INDEX executions_terms ON execution_history.executions USING gin (terms);

-- The nodes of each run that has ended, in their order; node is the node's id, else its name.
CREATE TABLE execution_history.nodes (
    workflow_id text COLLATE "C" NOT NULL,
    execute_id text COLLATE "C" NOT NULL,
    place integer NOT NULL,
    create_time bigint NOT NULL,
    node text COLLATE "C" NOT NULL,
    title text COLLATE "C" NOT NULL,
    type text COLLATE "C",
    status smallint NOT NULL,
    duration bigint,
    tokens bigint,
    PRIMARY KEY (workflow_id, execute_id, place)
);
CREATE INDEX nodes_by_node ON execution_history.nodes (workflow_id, node, create_time);

-- The number of records in each status, in rows that are added up: a process writes one of 32 slots, so few wait for others.
-- Rows that change all the time have room beside them, so that no index has to be written.
CREATE TABLE execution_history.counters (
    workflow_id text COLLATE "C" NOT NULL,
    slot smallint NOT NULL,
    running bigint NOT NULL,
    success bigint NOT NULL,
    failed bigint NOT NULL,
    interrupted bigint NOT NULL,
    other bigint NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (workflow_id, slot)
) WITH (fillfactor = 50);
-- The same of all workflows: a sum over the nodes of a cluster would not be of one moment.
CREATE TABLE execution_history.total_counters (
    slot smallint PRIMARY KEY,
    running bigint NOT NULL,
    success bigint NOT NULL,
    failed bigint NOT NULL,
    interrupted bigint NOT NULL,
    other bigint NOT NULL
) WITH (fillfactor = 10);

-- The runs of a workflow that began in an hour (query/rollups.py), to be added up over the slots; cost is in millionths
-- of a currency that nobody sets yet.
CREATE TABLE execution_history.rollups (
    workflow_id text COLLATE "C" NOT NULL,
    hour bigint NOT NULL,
    slot smallint NOT NULL,
    running bigint NOT NULL,
    success bigint NOT NULL,
    failed bigint NOT NULL,
    interrupted bigint NOT NULL,
    other bigint NOT NULL,
    tokens bigint NOT NULL,
    cost bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (workflow_id, hour, slot)
);
CREATE TABLE execution_history.total_rollups (
    hour bigint NOT NULL,
    slot smallint NOT NULL,
    running bigint NOT NULL,
    success bigint NOT NULL,
    failed bigint NOT NULL,
    interrupted bigint NOT NULL,
    other bigint NOT NULL,
    tokens bigint NOT NULL,
    cost bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (hour, slot)
);
-- How many of these runs ended after a duration, by its bucket.
CREATE TABLE execution_history.durations (
    workflow_id text COLLATE "C" NOT NULL,
    hour bigint NOT NULL,
    bucket integer NOT NULL,
    slot smallint NOT NULL,
    runs bigint NOT NULL,
    PRIMARY KEY (workflow_id, hour, bucket, slot)
);
CREATE TABLE execution_history.total_durations (
    hour bigint NOT NULL,
    bucket integer NOT NULL,
    slot smallint NOT NULL,
    runs bigint NOT NULL,
    PRIMARY KEY (hour, bucket, slot)
);

-- Records that were deleted; an empty execute_id stands for a whole workflow. What is older than version is gone.
CREATE TABLE execution_history.deletions (
    workflow_id text COLLATE "C" NOT NULL,
    execute_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    deleted_at bigint NOT NULL,
    PRIMARY KEY (workflow_id, execute_id)
);

-- Deleted records that can be restored.
CREATE TABLE execution_history.bin (
    workflow_id text COLLATE "C" NOT NULL,
    execute_id text COLLATE "C" NOT NULL,
    deleted_at bigint NOT NULL,
    ends bigint NOT NULL,
    create_time bigint NOT NULL,
    update_time bigint NOT NULL,
    status smallint NOT NULL,
    size integer NOT NULL,
    packing smallint NOT NULL,
    document bytea NOT NULL,
    PRIMARY KEY (workflow_id, execute_id)
);
ALTER TABLE execution_history.bin ALTER COLUMN document SET STORAGE EXTERNAL;
CREATE INDEX bin_by_end ON execution_history.bin (ends);

-- One row: the newest revision, the revision up to which deletions were forgotten, and the one up to which the log has
-- only what is current.
CREATE TABLE execution_history.feed (
    id smallint PRIMARY KEY CHECK (id = 1),
    revision bigint NOT NULL,
    floor bigint NOT NULL,
    compacted bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO execution_history.feed VALUES (1, 0, 0, 0);

-- One row a group commit, with the revision of its last change: what changed, in order, and the version that each then
-- had, negative where it was deleted. A change has the revision that remains when those after it are counted back.
-- token tells a process whether a commit took place whose answer was lost.
CREATE TABLE execution_history.changes (
    revision bigint PRIMARY KEY,
    workflow_ids text[] COLLATE "C" NOT NULL,
    execute_ids text[] COLLATE "C" NOT NULL,
    versions bigint[] NOT NULL,
    changed_at bigint NOT NULL,
    token uuid NOT NULL UNIQUE
);

-- What is kept besides records (stores/administration.py). A null value is a removed entry; version is a revision.
CREATE TABLE execution_history.registry (
    kind text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    value bytea,
    version bigint NOT NULL,
    changed_at bigint NOT NULL,
    PRIMARY KEY (kind, key)
);
CREATE INDEX registry_by_version ON execution_history.registry (version);
CREATE TABLE execution_history.audit (
    number bigint PRIMARY KEY,
    at bigint NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    details bytea NOT NULL,
    token uuid NOT NULL
);
CREATE TABLE execution_history.leases (
    owner text COLLATE "C" PRIMARY KEY,
    ends timestamptz NOT NULL
);
CREATE TABLE execution_history.named_leases (
    name text COLLATE "C" PRIMARY KEY,
    owner text COLLATE "C" NOT NULL,
    ends timestamptz NOT NULL
);
CREATE TABLE execution_history.cursors (
    name text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL
);
