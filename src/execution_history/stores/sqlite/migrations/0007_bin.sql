-- Deleted records that can be restored until a time (milliseconds), packed as they were.
CREATE TABLE bin (
    workflow_id TEXT NOT NULL,
    execute_id TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    status INTEGER NOT NULL,
    size INTEGER NOT NULL,
    packing INTEGER NOT NULL,
    document BLOB NOT NULL,
    deleted_at INTEGER NOT NULL,
    ends INTEGER NOT NULL,
    PRIMARY KEY (workflow_id, execute_id)
) STRICT;

CREATE INDEX bin_by_end ON bin (ends);
