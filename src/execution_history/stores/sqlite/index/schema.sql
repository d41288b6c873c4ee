-- The index over a history: one row a record, made from the change feed, to be thrown away and made anew at any time.

-- One row: what this index follows (the identity of a history.db), up to which revision, and which file this is.
-- Where behind_time is not null, records up to the revision high that are before (behind_time, behind_seq) in the order
-- of (create_time, seq) are still to be taken, the newest first: about so many as missing says; it stops where so many are
-- left as stops_at says, to a file that is built beside. That file takes those after behind_seq in the order of creation.
-- due_rows and due_texts count the rows of due.
CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version TEXT NOT NULL,
    store TEXT NOT NULL,
    file TEXT NOT NULL,
    revision INTEGER NOT NULL,
    high INTEGER NOT NULL,
    behind_time INTEGER,
    behind_seq INTEGER NOT NULL,
    missing INTEGER NOT NULL,
    stops_at INTEGER NOT NULL,
    due_rows INTEGER NOT NULL,
    due_texts INTEGER NOT NULL
) STRICT;

-- Records whose rows (what = 0) or texts (what = 1) are still to be written, the newest first.
CREATE TABLE due (
    what INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (what, create_time, seq)
) STRICT, WITHOUT ROWID;

-- Texts that many records share, by number.
CREATE TABLE texts (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT;

-- seq is the record's place in the order of arrival, as in history.db. Numbers in workflow, bot, account, caller,
-- error_code, failed_in and currency are texts; cost is in millionths; status is the number that history.db uses; fingerprint is its 64 bits as a signed number.
CREATE TABLE facets (
    seq INTEGER PRIMARY KEY,
    workflow INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    status INTEGER NOT NULL,
    duration INTEGER,
    tokens INTEGER,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cost INTEGER,
    currency INTEGER,
    error_code INTEGER,
    failed_in INTEGER,
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
    log_id TEXT,
    parent TEXT,
    revision INTEGER NOT NULL,
    execute_id TEXT NOT NULL
) STRICT;

CREATE TABLE tags (
    name INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (name, create_time, seq)
) STRICT, WITHOUT ROWID;

-- What the node is called in which a failed run failed: its name, its title and its id.
CREATE TABLE failed_nodes (
    name INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (name, create_time, seq)
) STRICT, WITHOUT ROWID;

-- The nodes of each run that has ended, in their order; workflow, node (its id, else its name), title and type are texts.
CREATE TABLE nodes (
    seq INTEGER NOT NULL,
    place INTEGER NOT NULL,
    workflow INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    title INTEGER NOT NULL,
    type INTEGER,
    node INTEGER NOT NULL,
    status INTEGER NOT NULL,
    duration INTEGER,
    tokens INTEGER,
    input_tokens INTEGER,
    output_tokens INTEGER,
    PRIMARY KEY (seq, place)
) STRICT, WITHOUT ROWID;

-- The runs of a workflow that began in an hour (query/rollups.py); workflow 0 has those of all workflows.
CREATE TABLE rollups (
    workflow INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    running INTEGER NOT NULL,
    success INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    interrupted INTEGER NOT NULL,
    other INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    PRIMARY KEY (workflow, hour)
) STRICT, WITHOUT ROWID;

-- How many of these runs ended after a duration, by its bucket.
CREATE TABLE durations (
    workflow INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    runs INTEGER NOT NULL,
    PRIMARY KEY (workflow, hour, bucket)
) STRICT, WITHOUT ROWID;

-- What the runs of an hour that have a price have cost, in millionths of a currency, which is a text.
CREATE TABLE costs (
    workflow INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    currency INTEGER NOT NULL,
    runs INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    PRIMARY KEY (workflow, hour, currency)
) STRICT, WITHOUT ROWID;

-- The runs of a workflow (node 0) that began in a day, and each of its nodes in those that have ended (day_rollups.py).
CREATE TABLE days (
    workflow INTEGER NOT NULL,
    node INTEGER NOT NULL,
    day INTEGER NOT NULL,
    running INTEGER NOT NULL,
    success INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    interrupted INTEGER NOT NULL,
    other INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    costs TEXT,
    hours BLOB NOT NULL,
    durations BLOB NOT NULL,
    PRIMARY KEY (workflow, node, day)
) STRICT, WITHOUT ROWID;

-- The nodes that have days; of a workflow with more than 200 of them, which is one that names them anew in each run, only
-- so many, and node 0 besides.
CREATE TABLE day_nodes (
    workflow INTEGER NOT NULL,
    node INTEGER NOT NULL,
    PRIMARY KEY (workflow, node)
) STRICT, WITHOUT ROWID;

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
