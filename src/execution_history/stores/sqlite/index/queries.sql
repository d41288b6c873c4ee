-- The fixed statements of the index, by name; those that depend on a query are composed in Python.

-- name: state
-- The version of the index, the store that it follows, its revision and its file.
SELECT version, store, revision, file FROM state;

-- name: begin_state
-- Begins an index of a store, which is empty.
INSERT INTO state VALUES (1, ?, ?, 0, ?);

-- name: save_revision
-- Writes the revision that the index has reached.
UPDATE state SET revision = ?;

-- name: text_number
-- The number of a text.
SELECT id FROM texts WHERE text = ?;

-- name: add_text
-- Adds a text.
INSERT INTO texts (text) VALUES (?);

-- name: drop_facets
-- Removes a record.
DELETE FROM facets WHERE seq = ?;

-- name: drop_tags
-- Removes the tags of a record.
DELETE FROM tags WHERE seq = ?;

-- name: add_tag
-- Adds a tag to a record.
INSERT OR IGNORE INTO tags VALUES (?, ?, ?);

-- name: put_summary
-- Writes the summary of a record that is too large to be read for every list.
INSERT INTO summaries VALUES (?, ?);

-- name: drop_summary
-- Removes the summary of a record.
DELETE FROM summaries WHERE seq = ?;

-- name: summaries_of
-- The summaries of large records.
SELECT seq, body FROM summaries WHERE seq IN (SELECT value FROM json_each(?));

-- name: name_failures
-- Writes the title of the failures of one fingerprint.
INSERT OR IGNORE INTO failures VALUES (?, ?);

-- name: seq_of
-- The row of a record.
SELECT seq FROM facets INDEXED BY by_id WHERE execute_id = ? AND workflow = ?;

-- name: some_of_workflow
-- Some rows of a workflow.
SELECT seq FROM facets WHERE workflow = ? LIMIT ?;

-- name: count_all
-- The number of records.
SELECT count(*) FROM facets INDEXED BY by_status;

-- name: documents_of
-- In history.db: the records at some places in the order of creation, in the order of the list.
SELECT j.key, e.seq, e.revision, {record}, e.document
FROM json_each(?) j CROSS JOIN executions e ON e.seq = j.value JOIN workflows w ON w.id = e.workflow
WHERE w.workflow_id IS NOT NULL;

-- name: revisions_of
-- In history.db: the revisions of the records at some places.
SELECT e.seq, e.revision
FROM executions e JOIN workflows w ON w.id = e.workflow
WHERE e.seq IN (SELECT value FROM json_each(?)) AND w.workflow_id IS NOT NULL;

-- name: counts_of
-- In history.db: the number of records in each status of some workflows.
SELECT coalesce(sum(running), 0), coalesce(sum(success), 0), coalesce(sum(failed), 0), coalesce(sum(interrupted), 0),
    coalesce(sum(other), 0)
FROM workflows WHERE workflow_id IN (SELECT value FROM json_each(?));
