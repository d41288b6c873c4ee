-- The fixed statements of the index, by name; those that depend on the question are put together in Python.

-- name: state
-- What this index is, what it follows, and up to which revision.
SELECT version, store, revision, file FROM state;

-- name: begin_state
-- An index that follows a store and has nothing yet.
INSERT INTO state VALUES (1, ?, ?, 0, ?);

-- name: save_revision
-- Up to where the change feed is in the index.
UPDATE state SET revision = ?;

-- name: text_number
-- The number of a text.
SELECT id FROM texts WHERE text = ?;

-- name: add_text
-- A new text.
INSERT INTO texts (text) VALUES (?);

-- name: drop_facets
-- A record that is gone.
DELETE FROM facets WHERE seq = ?;

-- name: drop_tags
-- The tags that a record had.
DELETE FROM tags WHERE seq = ?;

-- name: add_tag
-- A tag of a record.
INSERT OR IGNORE INTO tags VALUES (?, ?, ?);

-- name: put_summary
-- The summary of a record that is too large to be read for every list.
INSERT INTO summaries VALUES (?, ?);

-- name: drop_summary
-- The summary that a record had.
DELETE FROM summaries WHERE seq = ?;

-- name: summaries_of
-- The summaries of large records.
SELECT seq, body FROM summaries WHERE seq IN (SELECT value FROM json_each(?));

-- name: name_failures
-- What the failures of one fingerprint are called.
INSERT OR IGNORE INTO failures VALUES (?, ?);

-- name: seq_of
-- The row of a record.
SELECT seq FROM facets INDEXED BY by_id WHERE execute_id = ? AND workflow = ?;

-- name: some_of_workflow
-- Some rows of a workflow.
SELECT seq FROM facets WHERE workflow = ? LIMIT ?;

-- name: count_all
-- How many records there are.
SELECT count(*) FROM facets INDEXED BY by_status;

-- name: documents_of
-- Of history.db: the records at some places in the order of arrival, in the order in which these are listed.
SELECT j.key, e.seq, e.revision, {record}, e.document
FROM json_each(?) j CROSS JOIN executions e ON e.seq = j.value JOIN workflows w ON w.id = e.workflow
WHERE w.workflow_id IS NOT NULL;

-- name: revisions_of
-- Of history.db: in which version the records at some places are there.
SELECT e.seq, e.revision
FROM executions e JOIN workflows w ON w.id = e.workflow
WHERE e.seq IN (SELECT value FROM json_each(?)) AND w.workflow_id IS NOT NULL;

-- name: counts_of
-- Of history.db: how many records of each status some workflows have.
SELECT coalesce(sum(running), 0), coalesce(sum(success), 0), coalesce(sum(failed), 0), coalesce(sum(interrupted), 0),
    coalesce(sum(other), 0)
FROM workflows WHERE workflow_id IN (SELECT value FROM json_each(?));
