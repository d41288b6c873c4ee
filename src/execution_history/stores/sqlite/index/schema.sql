-- The index over a history: one row a record, made from the change feed, to be thrown away and made anew at any time.

-- One row: what this index follows (the identity of a history.db), up to which revision, and which file this is.
CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version TEXT NOT NULL,
    store TEXT NOT NULL,
    revision INTEGER NOT NULL,
    file TEXT NOT NULL
) STRICT;

-- Texts that many records share, by number.
CREATE TABLE texts (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT;

-- seq is the record's place in the order of arrival, as in history.db. Numbers in workflow, bot, account, caller and
-- error_code are texts; status is the number that history.db uses; fingerprint is its 64 bits as a signed number.
CREATE TABLE facets (
    seq INTEGER PRIMARY KEY,
    workflow INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    status INTEGER NOT NULL,
    duration INTEGER,
    tokens INTEGER,
    error_code INTEGER,
    fingerprint INTEGER,
    run_mode INTEGER,
    has_output INTEGER NOT NULL,
    pinned INTEGER NOT NULL,
    rating INTEGER,
    bot INTEGER,
    account INTEGER,
    caller INTEGER,
    conversation TEXT,
    upstream TEXT,
    parent TEXT,
    revision INTEGER NOT NULL,
    execute_id TEXT NOT NULL
) STRICT;

CREATE INDEX by_time ON facets (create_time, seq, status, duration, tokens);
CREATE INDEX by_workflow ON facets (workflow, create_time, seq, status, duration, tokens);
CREATE INDEX by_workflow_status ON facets (workflow, status, create_time);
CREATE INDEX by_status ON facets (status, create_time);
CREATE INDEX by_duration ON facets (duration, create_time);
CREATE INDEX by_workflow_duration ON facets (workflow, duration, create_time);
CREATE INDEX by_tokens ON facets (tokens, create_time);
CREATE INDEX by_workflow_tokens ON facets (workflow, tokens, create_time);
CREATE INDEX by_mode ON facets (run_mode, create_time);
CREATE INDEX by_error ON facets (error_code, create_time) WHERE error_code IS NOT NULL;
CREATE INDEX by_fingerprint ON facets (fingerprint, create_time) WHERE fingerprint IS NOT NULL;
CREATE INDEX by_workflow_error ON facets (workflow, create_time, error_code) WHERE error_code IS NOT NULL;
CREATE INDEX by_workflow_failure ON facets (workflow, create_time, fingerprint) WHERE fingerprint IS NOT NULL;
CREATE INDEX by_bot ON facets (bot, create_time) WHERE bot IS NOT NULL;
CREATE INDEX by_account ON facets (account, create_time) WHERE account IS NOT NULL;
CREATE INDEX by_caller ON facets (caller, create_time) WHERE caller IS NOT NULL;
CREATE INDEX by_conversation ON facets (conversation, create_time) WHERE conversation IS NOT NULL;
CREATE INDEX by_upstream ON facets (upstream, create_time) WHERE upstream IS NOT NULL;
CREATE INDEX by_parent ON facets (parent, create_time) WHERE parent IS NOT NULL;
CREATE INDEX by_rating ON facets (rating, create_time) WHERE rating IS NOT NULL;
CREATE INDEX by_pin ON facets (create_time) WHERE pinned = 1;
CREATE INDEX by_id ON facets (execute_id);

CREATE TABLE tags (
    tag INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (tag, create_time, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX tags_by_seq ON tags (seq);

-- What lists show of records that are too large to be read for every list.
CREATE TABLE summaries (
    seq INTEGER PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;

-- What the failures of one fingerprint are called.
CREATE TABLE failures (
    fingerprint INTEGER PRIMARY KEY,
    title TEXT NOT NULL
) STRICT;
