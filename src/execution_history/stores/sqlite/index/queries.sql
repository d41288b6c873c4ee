-- The fixed statements of the index, by name; those that depend on the question are put together in plan.py.

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

-- name: text_of
-- The text of a number.
SELECT text FROM texts WHERE id = ?;

-- name: add_text
-- A new text.
INSERT INTO texts (text) VALUES (?);

-- name: put_facets
-- A record that is new or has changed.
INSERT OR REPLACE INTO facets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

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

-- name: summary_of
-- The summary of a large record.
SELECT body FROM summaries WHERE seq = ?;

-- name: name_failures
-- What the failures of one fingerprint are called.
INSERT OR IGNORE INTO failures VALUES (?, ?);

-- name: failure_title
-- What the failures of one fingerprint are called.
SELECT title FROM failures WHERE fingerprint = ?;

-- name: seq_of
-- The row of a record.
SELECT seq FROM facets INDEXED BY by_id WHERE execute_id = ? AND workflow = ?;

-- name: some_of_workflow
-- Some rows of a workflow.
SELECT seq FROM facets WHERE workflow = ? LIMIT ?;

-- name: count_all
-- How many records there are.
SELECT count(*) FROM facets INDEXED BY by_status;
