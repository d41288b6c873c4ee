-- The workflows, with exact counters. A cleared one loses its workflow_id at once; its rows go in small steps.
CREATE TABLE workflows (
    id INTEGER PRIMARY KEY,
    workflow_id TEXT UNIQUE,
    running INTEGER NOT NULL,
    success INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    interrupted INTEGER NOT NULL,
    other INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX workflows_cleared ON workflows (id) WHERE workflow_id IS NULL;

-- One execution a row: the columns find, sort and count; the document is the record.
-- status: 0 running, 1 success, 2 failed, 3 interrupted, 4 any other (adopted records only).
-- packing: 0 plain JSON, otherwise the dictionary the zstandard frame needs.
CREATE TABLE executions (
    seq INTEGER PRIMARY KEY,
    workflow INTEGER NOT NULL,
    execute_id TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    status INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    size INTEGER NOT NULL,
    packing INTEGER NOT NULL,
    document BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX executions_by_id ON executions (execute_id, workflow);
CREATE INDEX executions_by_workflow ON executions (workflow, create_time);
CREATE INDEX executions_by_time ON executions (create_time);
CREATE INDEX executions_by_revision ON executions (revision);
CREATE INDEX executions_open ON executions (status, create_time) WHERE status IN (0, 3);

-- What the change feed says of rows that are gone; no execute_id: the whole workflow was cleared.
CREATE TABLE deletions (
    revision INTEGER PRIMARY KEY,
    workflow_id TEXT NOT NULL,
    execute_id TEXT,
    create_time INTEGER
) STRICT;

CREATE INDEX deletions_by_workflow ON deletions (workflow_id, execute_id);

-- The dictionaries that documents here were packed with, so that any version of the program can unpack them.
CREATE TABLE dictionaries (
    id INTEGER PRIMARY KEY,
    content BLOB NOT NULL
) STRICT;

-- Recorders that say they are alive, until when (milliseconds).
CREATE TABLE leases (
    owner TEXT PRIMARY KEY,
    expires INTEGER NOT NULL
) STRICT;

-- One row: the newest revision, and what is known of the JSON files since the last orderly closing.
CREATE TABLE feed (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL,
    boot TEXT NOT NULL,
    safe_revision INTEGER NOT NULL
) STRICT;

INSERT INTO feed VALUES (1, 0, '', 0);
