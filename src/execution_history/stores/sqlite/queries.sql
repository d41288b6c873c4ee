-- Every statement of the embedded store: the first comment line is its name, the second describes it.
-- {record} stands for the columns of a StoredRecord before its document; w are workflows, e are executions.

-- name: workflow_by_id
-- The counters, the revision and the size of a workflow.
SELECT id, running, success, failed, interrupted, other, revision, updated_at, size
FROM workflows WHERE workflow_id = ?;

-- name: add_workflow
-- Begins a workflow without runs.
INSERT INTO workflows (workflow_id, running, success, failed, interrupted, other, revision, updated_at)
VALUES (?, 0, 0, 0, 0, 0, 0, 0);

-- name: save_workflow
-- Writes a workflow's counters at the end of a transaction.
UPDATE workflows
SET running = ?, success = ?, failed = ?, interrupted = ?, other = ?, revision = ?, updated_at = ?, size = ?
WHERE id = ?;

-- name: drop_workflow
-- Forgets a workflow that has no runs left.
DELETE FROM workflows WHERE id = ?;

-- name: clear_workflow
-- Removes a whole history at once; purge_rows removes its rows later.
UPDATE workflows SET workflow_id = NULL WHERE id = ?;

-- name: cleared_workflow
-- A cleared workflow whose rows are still there.
SELECT id FROM workflows WHERE workflow_id IS NULL LIMIT 1;

-- name: purge_rows
-- Removes some rows of a cleared workflow: at most so many, and beyond the first one at most so many bytes of documents.
DELETE FROM executions WHERE seq IN (
    SELECT seq FROM (
        SELECT seq, sum(size) OVER (ROWS UNBOUNDED PRECEDING) - size AS before
        FROM (SELECT seq, size FROM executions WHERE workflow = ?1 LIMIT ?2))
    WHERE before < ?3);

-- name: add_execution
-- Adds a record.
INSERT INTO executions
    (workflow, execute_id, create_time, update_time, status, revision, first_revision, size, packing, document,
    upstream_id)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8, ?9, ?10);

-- name: execution_for_update
-- The row of a record that is to be updated.
SELECT e.seq, e.upstream_id, {record}, e.document
FROM executions e JOIN workflows w ON w.id = e.workflow WHERE e.execute_id = ? AND e.workflow = ?;

-- name: execute_id_of
-- The execute id of a row.
SELECT execute_id FROM executions WHERE seq = ?;

-- name: save_content
-- Replaces a record's document; SQLite leaves the indexes over columns alone that are not named here.
UPDATE executions SET update_time = ?, status = ?, revision = ?, size = ?, packing = ?, document = ? WHERE seq = ?;

-- name: save_execution
-- Replaces a record's document, its time and its id upstream.
UPDATE executions
SET create_time = ?, update_time = ?, status = ?, revision = ?, size = ?, packing = ?, document = ?, upstream_id = ?
WHERE seq = ?;

-- name: drop_execution
-- Removes one record.
DELETE FROM executions WHERE seq = ?;

-- name: executions_by_ids
-- The rows of a JSON list of ids of one workflow, in its order; e is the row itself, i may be read from an index.
SELECT e.seq, e.execute_id, e.create_time, e.update_time, e.status, e.size, e.revision
FROM json_each(?) k CROSS JOIN executions i ON i.execute_id = k.value AND i.workflow = ?
CROSS JOIN executions e ON e.seq = i.seq
ORDER BY k.key;

-- name: drop_executions
-- Removes the records of a JSON list of places.
DELETE FROM executions WHERE seq IN (SELECT value FROM json_each(?));

-- name: add_deletions
-- Adds the deletions of records that are still there to the change feed, with the revisions after one.
INSERT INTO deletions (revision, workflow_id, execute_id, create_time, deleted_at)
SELECT ?1 + k.key + 1, ?2, e.execute_id, e.create_time, ?3 FROM json_each(?4) k JOIN executions e ON e.seq = k.value;

-- name: add_deletion
-- Adds a deletion to the change feed.
INSERT INTO deletions (revision, workflow_id, execute_id, create_time, deleted_at) VALUES (?, ?, ?, ?, ?);

-- name: oldest_deletions
-- The oldest deletions, each with its time.
SELECT revision, deleted_at FROM deletions UNION ALL SELECT version, changed_at FROM registry WHERE value IS NULL
ORDER BY 1 LIMIT ?;

-- name: drop_removed_entries
-- Forgets entries of the registry that were removed up to a revision.
DELETE FROM registry WHERE value IS NULL AND version <= ?;

-- name: entry
-- One entry of the registry.
SELECT value, version FROM registry WHERE kind = ? AND key = ? AND value IS NOT NULL;

-- name: entries
-- The entries of a kind after a key.
SELECT key, value, version FROM registry WHERE kind = ? AND key > ? AND value IS NOT NULL ORDER BY key LIMIT ?;

-- name: kinds
-- The kinds that have entries.
SELECT DISTINCT kind FROM registry WHERE value IS NOT NULL ORDER BY kind;

-- name: save_entry
-- Writes an entry of the registry, or without a value its removal.
INSERT INTO registry (kind, key, value, version, changed_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (kind, key) DO UPDATE
SET value = excluded.value, version = excluded.version, changed_at = excluded.changed_at;

-- name: changed_entries
-- Entries of the registry that were changed or removed after a revision, in order.
SELECT version, kind, key, value FROM registry WHERE version > ? ORDER BY version LIMIT ?;

-- name: append_audit
-- Adds a line to the audit log.
INSERT INTO audit (at, actor, action, details) VALUES (?, ?, ?, ?) RETURNING number;

-- name: audit
-- Lines of the audit log after a number.
SELECT number, at, actor, action, details FROM audit WHERE number > ? ORDER BY number LIMIT ?;

-- name: named_lease
-- The owner of a lease, the start of the machine and the end of the lease.
SELECT owner, boot, ends FROM named_leases WHERE name = ?;

-- name: save_named_lease
-- Writes the owner of a lease.
INSERT INTO named_leases (name, owner, boot, ends) VALUES (?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, boot = excluded.boot, ends = excluded.ends;

-- name: drop_deletions
-- Forgets deletions up to a revision.
DELETE FROM deletions WHERE revision <= ?;

-- name: feed_floor
-- The revision up to which deletions are forgotten.
SELECT floor FROM feed;

-- name: save_feed_floor
-- Writes the revision up to which deletions are forgotten.
UPDATE feed SET floor = ?;

-- name: cursors
-- The places of the followers.
SELECT name, revision FROM cursors;

-- name: oldest_cursor
-- The revision that every follower has reached; null without any.
SELECT min(revision) FROM cursors;

-- name: save_cursor
-- Writes the place of a follower.
INSERT INTO cursors (name, revision) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET revision = excluded.revision;

-- name: drop_cursor
-- Removes a follower.
DELETE FROM cursors WHERE name = ?;

-- name: feed_revision
-- The newest revision.
SELECT revision FROM feed;

-- name: save_feed_revision
-- Writes the newest revision, at the end of a transaction.
UPDATE feed SET revision = ?;

-- name: feed_safety
-- The machine start during which the store was last open (empty after an orderly closing), and the revision it was safe at.
SELECT boot, safe_revision FROM feed;

-- name: save_feed_safety
-- Notes that the store is open since this machine start, or closed in order.
UPDATE feed SET boot = ?, safe_revision = ?;

-- name: document
-- One record, its document only where it is not larger than a limit.
SELECT {record}, CASE WHEN e.size <= ? THEN e.document END
FROM workflows w JOIN executions e ON e.workflow = w.id
WHERE w.workflow_id = ? AND e.execute_id = ?;

-- name: documents_by_key
-- The records of a JSON list of pairs of ids.
SELECT {record}, e.document
FROM json_each(?) k JOIN workflows w ON w.workflow_id = k.value ->> 0
JOIN executions e ON e.workflow = w.id AND e.execute_id = k.value ->> 1;

-- name: documents_by_execute_id
-- The records with one execute id in any workflow, newest first.
SELECT {record}, e.document
FROM executions e JOIN workflows w ON w.id = e.workflow
WHERE e.execute_id = ? AND w.workflow_id IS NOT NULL
ORDER BY e.create_time DESC, e.seq DESC;

-- name: documents_by_upstream_id
-- The records whose run has one id upstream, newest first.
SELECT {record}, e.document
FROM executions e JOIN workflows w ON w.id = e.workflow
WHERE e.upstream_id = ? AND w.workflow_id IS NOT NULL
ORDER BY e.create_time DESC, e.seq DESC;

-- name: workflow_total
-- The number of records of a workflow.
SELECT running + success + failed + interrupted + other FROM workflows WHERE workflow_id = ?;

-- name: scan_documents
-- Records in the order of creation, after a place; the cross join keeps that order without sorting.
SELECT e.seq, {record}, e.document
FROM executions e CROSS JOIN workflows w ON w.id = e.workflow
WHERE e.seq > ? AND w.workflow_id IS NOT NULL
ORDER BY e.seq LIMIT ?;

-- name: total_of_all
-- The number of records.
SELECT coalesce(sum(running + success + failed + interrupted + other), 0)
FROM workflows WHERE workflow_id IS NOT NULL;

-- name: documents_changed
-- The records changed after a revision, in the order of their last changes.
SELECT e.revision, e.seq, e.upstream_id, {record}, e.document
FROM executions e JOIN workflows w ON w.id = e.workflow
WHERE e.revision > ? AND w.workflow_id IS NOT NULL ORDER BY e.revision LIMIT ?;

-- name: store_identity
-- The identity of the store, a random text.
SELECT store FROM identity;

-- name: open_documents
-- Records that have not ended, of one status, oldest first.
SELECT e.create_time, e.seq, {record}, e.document
FROM executions e JOIN workflows w ON w.id = e.workflow
WHERE e.status = ? AND e.status IN (0, 3) AND w.workflow_id IS NOT NULL
ORDER BY e.create_time, e.seq;

-- name: ended_documents
-- Records of one ended status, oldest first; walks the index over time.
SELECT e.create_time, e.seq, {record}, e.document
FROM executions e JOIN workflows w ON w.id = e.workflow
WHERE e.status = ? AND w.workflow_id IS NOT NULL
ORDER BY e.create_time, e.seq;

-- name: counts_of_all
-- The number of records in each status.
SELECT coalesce(sum(running), 0), coalesce(sum(success), 0), coalesce(sum(failed), 0), coalesce(sum(interrupted), 0),
    coalesce(sum(other), 0)
FROM workflows WHERE workflow_id IS NOT NULL;

-- name: workflow_summaries
-- Workflows whose ids are in a range, the one with the newest record first, after a place in that order.
SELECT workflow_id, running, success, failed, interrupted, other, updated_at, newest, size
FROM (SELECT w.*, (SELECT max(n.create_time) FROM executions n WHERE n.workflow = w.id) AS newest
    FROM workflows w WHERE w.workflow_id >= ?1 AND w.workflow_id < ?2)
WHERE newest IS NOT NULL AND (?3 IS NULL OR newest < ?3 OR newest = ?3 AND workflow_id > ?4)
ORDER BY newest DESC, workflow_id LIMIT ?5;

-- name: changed_executions
-- Records changed after a revision, in order, with or without their documents.
SELECT e.revision, e.first_revision, e.seq, {record}, CASE WHEN ? THEN e.document END
FROM executions e JOIN workflows w ON w.id = e.workflow
WHERE e.revision > ? AND w.workflow_id IS NOT NULL ORDER BY e.revision LIMIT ?;

-- name: deleted_executions
-- Deletions after a revision, in order.
SELECT revision, workflow_id, execute_id FROM deletions WHERE revision > ? ORDER BY revision LIMIT ?;

-- name: put_lease
-- Writes the lease of a recorder.
INSERT INTO leases (owner, expires, boot, ends) VALUES (?, ?, ?, ?)
ON CONFLICT (owner) DO UPDATE SET expires = excluded.expires, boot = excluded.boot, ends = excluded.ends;

-- name: drop_lease
-- Removes the lease of a recorder.
DELETE FROM leases WHERE owner = ?;

-- name: leases
-- The recorders that have a lease, and when it ends on either clock.
SELECT owner, expires, boot, ends FROM leases;

-- name: dictionaries
-- The dictionaries of this store.
SELECT id, content FROM dictionaries;

-- name: add_dictionary
-- Adds a dictionary.
INSERT OR IGNORE INTO dictionaries (id, content) VALUES (?, ?);

-- name: file_states
-- The state that the JSON file of every workflow should have.
SELECT workflow_id, running + success + failed + interrupted + other, revision, updated_at
FROM workflows WHERE workflow_id IS NOT NULL;

-- name: file_state
-- The state that the JSON file of one workflow should have.
SELECT workflow_id, running + success + failed + interrupted + other, revision, updated_at
FROM workflows WHERE workflow_id = ?;

-- name: workflow_documents
-- All records of a workflow, newest first.
SELECT {record}, e.document
FROM executions e JOIN workflows w ON w.id = e.workflow
WHERE w.workflow_id = ?
ORDER BY e.create_time DESC, e.seq DESC;

-- name: changed_in_workflow
-- The records of a workflow changed after a revision, in the order of creation; the plus signs keep to the index over revisions.
SELECT {record}, e.document
FROM executions e JOIN workflows w ON w.id = +e.workflow
WHERE e.revision > ? AND +w.workflow_id = ? ORDER BY +e.seq;

-- name: deleted_in_workflow
-- The deletions in a workflow after a revision, in order.
SELECT execute_id, create_time FROM deletions WHERE revision > ? AND +workflow_id = ? ORDER BY revision;

-- name: deleted_after
-- Whether a record, or its whole workflow, was deleted after a revision.
SELECT EXISTS (SELECT 1 FROM deletions WHERE revision > ? AND workflow_id = ? AND (execute_id IS NULL OR execute_id = ?));

-- name: size_up_to
-- The number and the bytes of a workflow's documents, counted up to a limit.
SELECT count(*), coalesce(sum(size), 0) FROM (
    SELECT e.size FROM workflows w JOIN executions e ON e.workflow = w.id WHERE w.workflow_id = ? LIMIT ?);

-- name: put_in_bin
-- Copies records that are about to be deleted into the bin: those of a JSON object, by their places; what is not null
-- is the number of the pieces that have the document already.
INSERT OR REPLACE INTO bin
SELECT ?4, e.execute_id, e.create_time, e.update_time, e.status, e.size, e.packing,
    CASE WHEN k.value IS NULL THEN e.document ELSE x'' END, ?1, ?2, ?3, k.value
FROM json_each(?5) k JOIN executions e ON e.seq = CAST(k.key AS INTEGER);

-- name: large_document
-- The place, the revision and the packed size of a record.
SELECT e.seq, e.revision, length(e.document)
FROM executions e JOIN workflows w ON w.id = e.workflow WHERE w.workflow_id = ? AND e.execute_id = ?;

-- name: revision_at
-- The revision of the record at a place.
SELECT revision FROM executions WHERE seq = ?;

-- name: put_piece
-- Adds a piece of a document of the bin.
INSERT INTO bin_pieces VALUES (?, ?, ?);

-- name: drop_pieces
-- Removes the pieces of a copy that comes to nothing.
DELETE FROM bin_pieces WHERE pieces = ?;

-- name: lost_pieces
-- The numbers of pieces without a row, below a number.
SELECT pieces FROM bin_pieces p WHERE number = 0 AND pieces < ?
AND NOT EXISTS (SELECT 1 FROM bin b WHERE b.pieces = p.pieces);

-- name: binned_document
-- A discarded record that has not expired.
SELECT workflow_id, execute_id, create_time, update_time, status, size, packing, {binned}
FROM bin WHERE workflow_id = ? AND execute_id = ? AND ends > ?;

-- name: binned
-- The discarded records that have not expired, the last one first, after one of them.
SELECT workflow_id, execute_id, size, deleted_at, ends, rule
FROM bin WHERE ends > ?1 AND deleted_at <= ?2 AND (deleted_at < ?2 OR (workflow_id, execute_id) > (?3, ?4))
ORDER BY deleted_at DESC, workflow_id, execute_id LIMIT ?5;

-- name: replace_binned
-- Replaces a discarded record of this update time that has not expired.
UPDATE bin SET update_time = ?, size = ?, packing = ?, document = ?, pieces = NULL
WHERE workflow_id = ? AND execute_id = ? AND status = ? AND update_time = ? AND ends > ? RETURNING 1;

-- name: bin_size
-- The number of the discarded records that have not expired, and their bytes.
SELECT count(*), coalesce(sum(size), 0) FROM bin WHERE ends > ?;

-- name: sizes_by_key
-- The sizes of the records of a JSON list of pairs of ids.
SELECT w.workflow_id, e.execute_id, e.size
FROM json_each(?) k JOIN workflows w ON w.workflow_id = k.value ->> 0
JOIN executions e ON e.workflow = w.id AND e.execute_id = k.value ->> 1;

-- name: size_of_all
-- The bytes of all records, and their number.
SELECT coalesce(sum(size), 0), coalesce(sum(running + success + failed + interrupted + other), 0) FROM workflows WHERE workflow_id IS NOT NULL;

-- name: drop_from_bin
-- Removes a discarded record permanently, or after it was restored.
DELETE FROM bin WHERE workflow_id = ? AND execute_id = ?;

-- name: purge_bin
-- Removes some discarded records that have expired: at most so many, and beyond the first one at most so many bytes.
DELETE FROM bin WHERE rowid IN (
    SELECT place FROM (
        SELECT place, sum(size) OVER (ROWS UNBOUNDED PRECEDING) - size AS before
        FROM (SELECT rowid AS place, size FROM bin WHERE ends <= ?1 LIMIT ?2))
    WHERE before < ?3);

-- name: counted_rows
-- For each workflow what its counters should be, and the newest revision and time of its rows; next to what they are.
SELECT w.workflow_id,
    count(e.seq) FILTER (WHERE e.status = 0), count(e.seq) FILTER (WHERE e.status = 1),
    count(e.seq) FILTER (WHERE e.status = 2), count(e.seq) FILTER (WHERE e.status = 3),
    count(e.seq) FILTER (WHERE e.status = 4), coalesce(sum(e.size), 0), max(e.revision), max(e.update_time),
    w.running, w.success, w.failed, w.interrupted, w.other, w.size, w.id
FROM workflows w LEFT JOIN executions e ON e.workflow = w.id
WHERE w.workflow_id IS NOT NULL GROUP BY w.id;

-- name: save_counted
-- Writes the counters of a workflow whose rows were counted.
UPDATE workflows
SET running = ?, success = ?, failed = ?, interrupted = ?, other = ?, size = ?, revision = ?, updated_at = ?
WHERE id = ?;

-- name: count_stray_rows
-- The number of rows whose workflow is not there.
SELECT count(*) FROM executions WHERE workflow NOT IN (SELECT id FROM workflows);

-- name: newest_revisions
-- The newest revision that rows, deletions and the registry have, and that of the feed.
SELECT max((SELECT coalesce(max(revision), 0) FROM executions), (SELECT coalesce(max(revision), 0) FROM deletions),
    (SELECT coalesce(max(version), 0) FROM registry)), revision FROM feed;

-- name: deleted_rows
-- The places of records that the change feed calls deleted later than they were last changed, each with the deletion.
SELECT e.seq, d.revision FROM deletions d JOIN workflows w ON w.workflow_id = d.workflow_id
JOIN executions e ON e.workflow = w.id AND (d.execute_id IS NULL OR d.execute_id = e.execute_id)
WHERE e.revision < d.revision;

-- name: drop_deletion
-- Forgets one deletion.
DELETE FROM deletions WHERE revision = ?;

-- name: workflow_part
-- The records of a workflow that began before a time, newest first.
SELECT {record}, e.document
FROM workflows w JOIN executions e ON e.workflow = w.id
WHERE w.workflow_id = ? AND e.create_time < ?
ORDER BY e.create_time DESC, e.seq DESC;

-- name: broken_entries
-- How many entries of the registry and lines of the audit log are no JSON.
SELECT (SELECT count(*) FROM registry WHERE value IS NOT NULL AND NOT json_valid(CAST(value AS TEXT)))
    + (SELECT count(*) FROM audit WHERE NOT json_valid(CAST(details AS TEXT)));

-- name: has_deletion
-- Whether a record, or its whole workflow, was deleted, as far as that is remembered.
SELECT 1 FROM deletions WHERE workflow_id = ?1 AND (execute_id IS NULL OR execute_id = ?2) LIMIT 1;

-- name: impossible_places
-- The places of records that no record can have: each one was given with a revision, up to the newest one.
SELECT seq FROM executions WHERE seq NOT BETWEEN 1 AND ?;

-- name: move_execution
-- Give the record at a place the one after all others that are possible.
UPDATE executions SET seq = (SELECT coalesce(max(seq), 0) + 1 FROM executions WHERE seq BETWEEN 1 AND ?) WHERE seq = ?;

-- name: has_execution
-- Whether there is a row of this record.
SELECT 1 FROM executions WHERE execute_id = ? AND workflow = ?;

-- name: drop_altered_entry
-- Remove the entry that has the version of another one: a version is given once.
DELETE FROM registry WHERE version = ?4 AND (kind, key, value, changed_at) IS NOT (?1, ?2, ?3, ?5);

-- name: newest_entry
-- The version of the newest entry of the registry, removed or not; 0 without any.
SELECT coalesce(max(version), 0) FROM registry;

-- name: whole_registry
-- Every entry of the registry that can be read, also those that were removed.
SELECT kind, key, value, version, changed_at FROM registry
WHERE value IS NULL OR json_valid(CAST(value AS TEXT)) ORDER BY kind, key;

-- name: all_documents
-- All records in the order in which they came, and whether the id upstream is in its column.
SELECT {record}, e.document, e.upstream_id
FROM executions e CROSS JOIN workflows w ON w.id = e.workflow WHERE w.workflow_id IS NOT NULL ORDER BY e.seq;

-- name: some_documents
-- The same of the records at some places.
SELECT {record}, e.document, e.upstream_id
FROM json_each(?) j CROSS JOIN executions e ON e.seq = j.value JOIN workflows w ON w.id = e.workflow
WHERE w.workflow_id IS NOT NULL;

-- name: newest_place
-- The place of the newest record; 0 without any.
SELECT coalesce(max(seq), 0) FROM executions;

-- name: ids_and_times
-- The ids and times of all records in the order in which they came, and whether they changed after they came.
SELECT seq, execute_id, create_time, first_revision BETWEEN 1 AND revision - 1 FROM executions ORDER BY seq;

-- name: binned_documents
-- All discarded records.
SELECT workflow_id, execute_id, create_time, update_time, status, size, packing, {binned} FROM bin;

-- name: count_workflows
-- The number of workflows.
SELECT count(*) FROM workflows WHERE workflow_id IS NOT NULL;

-- name: all_texts
-- Every text that something is found by: reading one that is not UTF-8 raises, and SQLite's own check passes it.
SELECT execute_id, upstream_id FROM executions UNION ALL SELECT workflow_id, '' FROM workflows
UNION ALL SELECT kind, key FROM registry UNION ALL SELECT actor, action FROM audit
UNION ALL SELECT workflow_id, execute_id FROM deletions UNION ALL SELECT workflow_id, execute_id FROM bin
UNION ALL SELECT name, '' FROM cursors;
