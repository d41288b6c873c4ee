-- The fixed statements of the index, by name; those that depend on a query are composed in Python.

-- name: state
-- What the index follows and how far, and the newest record whose row, or whose text, is still to be written.
SELECT version, store, file, revision, high, behind_time, behind_seq, missing, stops_at, due_rows, due_texts,
    (SELECT max(create_time) FROM due WHERE what = 0), (SELECT max(create_time) FROM due WHERE what = 1)
FROM state;

-- name: begin_state
-- Begins an index of a store, which is empty.
INSERT INTO state VALUES (1, ?, ?, ?, ?, ?, ?, 0, ?, ?, 0, 0);

-- name: save_state
-- Writes how far the index has come.
UPDATE state SET revision = ?, behind_time = ?, behind_seq = ?, missing = ?, due_rows = ?, due_texts = ?;

-- name: save_missing
-- Writes what share of the work is left where older records are left to a file that is filled beside.
UPDATE state SET missing = max(1, CAST(stops_at * ? AS INTEGER)) WHERE behind_time IS NOT NULL AND missing <= stops_at;

-- name: add_due
-- Notes that something is to be written of the records in a JSON list of (create time, seq).
INSERT OR IGNORE INTO due SELECT ?1, value ->> 0, value ->> 1 FROM json_each(?2);

-- name: some_due
-- The newest records of which something is to be written.
SELECT create_time, seq FROM due WHERE what = ? ORDER BY create_time DESC, seq DESC LIMIT ?;

-- name: which_done
-- Of a JSON list of (create time, seq, revision): those that are due and whose row has that revision or is missing, as a
-- JSON list of (create time, seq, whether there is a row).
SELECT json_group_array(json_array(d.create_time, d.seq, f.seq IS NOT NULL)) FROM json_each(?2) j
CROSS JOIN due d ON d.what = ?1 AND d.create_time = j.value ->> 0 AND d.seq = j.value ->> 1
LEFT JOIN facets f ON f.seq = d.seq
WHERE f.seq IS NULL OR f.revision = j.value ->> 2;

-- name: drop_due
-- Removes the notes for the records in a JSON list of (create time, seq).
DELETE FROM due WHERE (what, create_time, seq) IN (SELECT ?1, value ->> 0, value ->> 1 FROM json_each(?2));

-- name: all_texts_due
-- Notes that the texts of all records are to be written.
INSERT INTO due SELECT 1, create_time, seq FROM facets ORDER BY create_time, seq;

-- name: text_number
-- The number of a text.
SELECT id FROM texts WHERE text = ?;

-- name: add_text
-- Adds texts: a JSON list of (number, text).
INSERT INTO texts (id, text) SELECT value ->> 0, value ->> 1 FROM jsonb_each(?);

-- name: last_text
-- The last number of a text; 0 without any.
SELECT coalesce(max(id), 0) FROM texts;

-- name: rows_of
-- What is known of some records.
SELECT seq, revision, workflow, create_time, status, duration, tokens, input_tokens, output_tokens, cost,
    currency
FROM facets WHERE seq IN (SELECT value FROM json_each(?));

-- name: nodes_of
-- What is known of the nodes of some records.
SELECT seq, node, status, duration, tokens, input_tokens, output_tokens
FROM nodes WHERE seq IN (SELECT value FROM json_each(?));

-- name: drop_facets
-- Removes a record.
DELETE FROM facets WHERE seq = ?;

-- name: drop_tags
-- Removes the tags of a record.
DELETE FROM tags WHERE seq = ?;

-- name: add_tag
-- Adds tags to records: a JSON list of rows.
INSERT OR IGNORE INTO tags SELECT value ->> 0, value ->> 1, value ->> 2 FROM jsonb_each(?);

-- name: drop_failed_nodes
-- Removes the names of the node in which a record failed.
DELETE FROM failed_nodes WHERE seq = ?;

-- name: add_failed_node
-- Adds names of the nodes in which records failed: a JSON list of rows.
INSERT OR IGNORE INTO failed_nodes SELECT value ->> 0, value ->> 1, value ->> 2 FROM jsonb_each(?);

-- name: drop_nodes
-- Removes the nodes of a record.
DELETE FROM nodes WHERE seq = ?;

-- name: add_node
-- Adds nodes of records: a JSON list of rows.
INSERT INTO nodes
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, value ->> 9, value ->> 10, value ->> 11
FROM jsonb_each(?);

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
-- Writes the titles of failures: a JSON list of (fingerprint, title).
INSERT OR IGNORE INTO failures SELECT value ->> 0, value ->> 1 FROM jsonb_each(?);

-- name: add_to_rollup
-- Adds to the runs of hours: a JSON list of rows.
INSERT INTO rollups
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, value ->> 9
FROM jsonb_each(?) WHERE true
ON CONFLICT (workflow, hour) DO UPDATE SET
    running = rollups.running + excluded.running, success = rollups.success + excluded.success,
    failed = rollups.failed + excluded.failed, interrupted = rollups.interrupted + excluded.interrupted,
    other = rollups.other + excluded.other, tokens = rollups.tokens + excluded.tokens,
    input_tokens = rollups.input_tokens + excluded.input_tokens,
    output_tokens = rollups.output_tokens + excluded.output_tokens;

-- name: drop_empty_rollup
-- Removes an hour that has no runs left.
DELETE FROM rollups
WHERE workflow = ? AND hour = ? AND running = 0 AND success = 0 AND failed = 0 AND interrupted = 0 AND other = 0;

-- name: add_to_durations
-- Adds to the runs of hours that ended after a duration: a JSON list of rows.
INSERT INTO durations SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM jsonb_each(?) WHERE true
ON CONFLICT (workflow, hour, bucket) DO UPDATE SET runs = durations.runs + excluded.runs;

-- name: drop_empty_durations
-- Removes a duration that no run of an hour has any more.
DELETE FROM durations WHERE workflow = ? AND hour = ? AND bucket = ? AND runs = 0;

-- name: add_to_costs
-- Adds to the costs of hours: a JSON list of rows.
INSERT INTO costs SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM jsonb_each(?) WHERE true
ON CONFLICT (workflow, hour, currency) DO UPDATE SET runs = costs.runs + excluded.runs,
    cost = costs.cost + excluded.cost;

-- name: drop_empty_costs
-- Removes costs that no run of an hour has any more.
DELETE FROM costs WHERE workflow = ? AND hour = ? AND currency = ? AND runs = 0;

-- name: days_at
-- Days: a JSON list of (workflow, node, day).
SELECT d.* FROM json_each(?) j CROSS JOIN days d
ON d.workflow = j.value ->> 0 AND d.node = j.value ->> 1 AND d.day = j.value ->> 2;

-- name: put_days
-- Writes days: a JSON list of rows, whose packed parts are hexadecimal digits.
REPLACE INTO days
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, value ->> 9, value ->> 10, value ->> 11, unhex(value ->> 12), unhex(value ->> 13)
FROM jsonb_each(?);

-- name: drop_days
-- Removes days: a JSON list of (workflow, node, day).
DELETE FROM days WHERE (workflow, node, day) IN (SELECT value ->> 0, value ->> 1, value ->> 2 FROM jsonb_each(?));

-- name: workflows_with_days
-- The workflows that have days.
WITH RECURSIVE w (workflow) AS (
    SELECT min(workflow) FROM days
    UNION ALL SELECT (SELECT min(d.workflow) FROM days d WHERE d.workflow > w.workflow) FROM w WHERE w.workflow IS NOT NULL
)
SELECT workflow FROM w WHERE workflow IS NOT NULL;

-- name: nodes_with_days
-- The nodes of a workflow that have days; 0 among them where it has others.
SELECT node FROM day_nodes WHERE workflow = ?;

-- name: which_have_days
-- Of nodes, a JSON list of (workflow, node): those that have days.
SELECT n.workflow, n.node FROM json_each(?) j CROSS JOIN day_nodes n
ON n.workflow = j.value ->> 0 AND n.node = j.value ->> 1;

-- name: count_day_nodes
-- How many nodes of each workflow of a JSON list have days.
SELECT workflow, count(*) FROM day_nodes WHERE workflow IN (SELECT value FROM json_each(?)) AND node > 0 GROUP BY 1;

-- name: add_day_nodes
-- Notes that nodes have days: a JSON list of (workflow, node).
INSERT OR IGNORE INTO day_nodes SELECT value ->> 0, value ->> 1 FROM jsonb_each(?);

-- name: seqs_of
-- The rows of a record that is older than a revision.
SELECT seq FROM facets INDEXED BY by_id WHERE execute_id = ? AND workflow = ? AND revision < ?;

-- name: some_of_workflow
-- Some rows of a workflow that are older than a revision.
SELECT seq FROM facets INDEXED BY by_workflow WHERE workflow = ? AND revision < ? LIMIT ?;

-- name: count_all
-- The number of records.
SELECT count(*) FROM facets INDEXED BY by_status;

-- name: newest_time
-- In history.db: the create time of the newest record; null without any.
SELECT max(create_time) FROM executions;

-- name: changes_between
-- In history.db: the places of records changed after a revision, in the order of their last changes.
SELECT revision, create_time, seq FROM executions WHERE revision > ? ORDER BY revision LIMIT ?;

-- name: documents_before
-- In history.db: records before a place in the order of (create_time, seq), the newest first.
SELECT e.revision, e.seq, e.upstream_id, {record}, e.document
FROM executions e INDEXED BY executions_by_time CROSS JOIN workflows w ON w.id = e.workflow
WHERE (e.create_time, e.seq) < (?, ?) AND w.workflow_id IS NOT NULL
ORDER BY e.create_time DESC, e.seq DESC LIMIT ?;

-- name: documents_after
-- In history.db: records in the order of creation, after a place.
SELECT e.revision, e.seq, e.upstream_id, {record}, e.document
FROM executions e CROSS JOIN workflows w ON w.id = e.workflow
WHERE e.seq > ? AND w.workflow_id IS NOT NULL ORDER BY e.seq LIMIT ?;

-- name: documents_at
-- In history.db: the records at some places in the order of creation.
SELECT e.revision, e.seq, e.upstream_id, {record}, e.document
FROM json_each(?) j CROSS JOIN executions e ON e.seq = j.value JOIN workflows w ON w.id = e.workflow
WHERE w.workflow_id IS NOT NULL;

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
