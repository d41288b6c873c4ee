-- The fixed statements of the PostgreSQL store, by name; those that depend on a query are composed in Python.

-- schema.py

-- name: migrations_taken
SELECT number, oldest_code FROM execution_history.migrations;

-- name: add_migration
INSERT INTO execution_history.migrations (number, name, oldest_code) VALUES (%s, %s, %s);

-- name: add_dictionary
INSERT INTO execution_history.dictionaries VALUES (%s, %s);

-- name: dictionaries
SELECT number, content FROM execution_history.dictionaries;

-- change_log.py

-- name: arrivals
SELECT nextval('execution_history.arrivals') FROM generate_series(1, %s);

-- name: log_changes
-- The row of feed is the last lock of the transaction; a change has the revision that its place in the arrays gives.
WITH head AS (UPDATE execution_history.feed SET revision = revision + %s RETURNING revision)
INSERT INTO execution_history.changes
SELECT revision, %s::text[], %s::text[], %s::bigint[], %s::bigint, %s::uuid FROM head
RETURNING revision;

-- name: committed_token
SELECT 1 FROM execution_history.changes WHERE token = %s;

-- commit.py

-- name: states
SELECT e.workflow_id, e.execute_id, e.seq, e.version, coalesce(e.filled, -1), e.create_time, e.update_time, e.size,
    e.packing, e.document, e.status, e.duration, e.tokens, e.input_tokens, e.output_tokens, e.cost, e.currency
FROM unnest(%s::text[], %s::text[]) AS k (workflow_id, execute_id)
JOIN execution_history.executions e ON e.workflow_id = k.workflow_id AND e.execute_id = k.execute_id;

-- name: delete_executions
-- A division by zero ends the transaction where another process has changed one of them.
WITH done AS (
    DELETE FROM execution_history.executions e
    USING unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[]) AS k (workflow_id, execute_id, version, filled)
    WHERE e.workflow_id = k.workflow_id AND e.execute_id = k.execute_id AND e.version = k.version
        AND coalesce(e.filled, -1) = k.filled RETURNING 1
)
SELECT 1 / (count(*) = %s)::integer FROM done;

-- name: drop_nodes
DELETE FROM execution_history.nodes n USING unnest(%s::text[], %s::text[]) AS k (workflow_id, execute_id)
WHERE n.workflow_id = k.workflow_id AND n.execute_id = k.execute_id;


-- group_commit.py

-- name: notify
-- A transaction of its own, which nobody has to find on the disk.
SELECT set_config('synchronous_commit', 'off', true), pg_notify(%s, '');

-- connections.py

-- name: number_of_runs
SELECT coalesce(sum(running + success + failed + interrupted + other), 0)::bigint FROM execution_history.total_counters;

-- documents.py

-- name: documents
SELECT e.workflow_id, e.execute_id, e.create_time, e.update_time, e.status, e.size, e.packing, e.document
FROM unnest(%s::text[], %s::text[]) AS k (workflow_id, execute_id)
JOIN execution_history.executions e ON e.workflow_id = k.workflow_id AND e.execute_id = k.execute_id;

-- name: documents_by_execute_id
SELECT workflow_id, execute_id, create_time, update_time, status, size, packing, document
FROM execution_history.executions WHERE execute_id = %s ORDER BY create_time DESC, seq DESC;

-- name: documents_by_upstream_id
SELECT workflow_id, execute_id, create_time, update_time, status, size, packing, document
FROM execution_history.executions WHERE upstream = %s ORDER BY create_time DESC, seq DESC;

-- name: open_documents
SELECT workflow_id, execute_id, create_time, update_time, status, size, packing, document
FROM execution_history.executions WHERE status = ANY (%s::smallint[]) ORDER BY create_time, seq LIMIT %s;

-- name: scanned
-- The next records in the order of arrival, as many as are not too large together, but at least one.
SELECT seq, workflow_id, execute_id, create_time, update_time, status, size, packing, document FROM (
    SELECT e.*, sum(e.size) OVER (ORDER BY e.seq) - e.size AS before
    FROM (SELECT seq, workflow_id, execute_id, create_time, update_time, status, size, packing, document
        FROM execution_history.executions WHERE seq > %s ORDER BY seq LIMIT %s) e
) s WHERE before < %s ORDER BY seq;

-- feed.py

-- name: feed_head
SELECT revision, floor, compacted FROM execution_history.feed;

-- name: changes_after
SELECT revision, workflow_ids, execute_ids, versions FROM execution_history.changes
WHERE revision > %s ORDER BY revision LIMIT %s;

-- name: versions_of
SELECT e.workflow_id, e.execute_id, e.version, e.status, e.size
FROM unnest(%s::text[], %s::text[]) AS k (workflow_id, execute_id)
JOIN execution_history.executions e ON e.workflow_id = k.workflow_id AND e.execute_id = k.execute_id;

-- name: deletions_of
SELECT d.workflow_id, d.execute_id, d.version, CASE WHEN d.revision_of = d.version THEN d.revision END
FROM unnest(%s::text[], %s::text[]) AS k (workflow_id, execute_id)
JOIN execution_history.deletions d ON d.workflow_id = k.workflow_id AND d.execute_id = k.execute_id;

-- name: entries_changed
SELECT kind, key, version FROM execution_history.registry WHERE version > %s AND version <= %s ORDER BY version LIMIT %s;

-- retention.py

-- name: scattered_counters
SELECT workflow_id FROM execution_history.counters GROUP BY workflow_id HAVING count(*) > %s;

-- name: fold_counters
WITH gone AS (DELETE FROM execution_history.counters WHERE workflow_id = %(workflow_id)s AND slot <> 0 RETURNING *)
INSERT INTO execution_history.counters AS t
SELECT workflow_id, 0, sum(running)::bigint, sum(success)::bigint, sum(failed)::bigint, sum(interrupted)::bigint,
    sum(other)::bigint, max(updated_at), sum(size)::bigint
FROM gone GROUP BY workflow_id
ON CONFLICT (workflow_id, slot) DO UPDATE SET running = t.running + excluded.running,
    success = t.success + excluded.success, failed = t.failed + excluded.failed,
    interrupted = t.interrupted + excluded.interrupted, other = t.other + excluded.other,
    updated_at = greatest(t.updated_at, excluded.updated_at), size = t.size + excluded.size;

-- name: scattered_hours
SELECT workflow_id FROM execution_history.rollups WHERE hour < %s AND slot <> 0 GROUP BY workflow_id HAVING count(*) > %s;

-- name: fold_rollups
WITH gone AS (
    DELETE FROM execution_history.rollups WHERE workflow_id = %(workflow_id)s AND hour < %(end)s AND slot <> 0 RETURNING *
)
INSERT INTO execution_history.rollups AS t (workflow_id, hour, slot, running, success, failed, interrupted, other, tokens,
    input_tokens, output_tokens)
SELECT workflow_id, hour, 0, sum(running)::bigint, sum(success)::bigint, sum(failed)::bigint, sum(interrupted)::bigint,
    sum(other)::bigint, sum(tokens)::bigint, sum(input_tokens)::bigint, sum(output_tokens)::bigint
FROM gone GROUP BY workflow_id, hour
ON CONFLICT (workflow_id, hour, slot) DO UPDATE SET running = t.running + excluded.running,
    success = t.success + excluded.success, failed = t.failed + excluded.failed,
    interrupted = t.interrupted + excluded.interrupted, other = t.other + excluded.other,
    tokens = t.tokens + excluded.tokens, input_tokens = t.input_tokens + excluded.input_tokens,
    output_tokens = t.output_tokens + excluded.output_tokens;

-- name: scattered_days
SELECT DISTINCT hour / 24 FROM execution_history.total_durations WHERE hour < %s AND slot <> 0;

-- name: fold_total_durations
WITH gone AS (
    DELETE FROM execution_history.total_durations WHERE hour >= %(first)s AND hour < %(end)s AND slot <> 0 RETURNING *
)
INSERT INTO execution_history.total_durations AS t SELECT hour, bucket, 0, sum(runs)::bigint FROM gone GROUP BY hour, bucket
ON CONFLICT (hour, bucket, slot) DO UPDATE SET runs = t.runs + excluded.runs;

-- name: purge_bin
DELETE FROM execution_history.bin WHERE (workflow_id, execute_id) IN
    (SELECT workflow_id, execute_id FROM execution_history.bin WHERE ends <= %s LIMIT %s) RETURNING 1;

-- name: lock_compaction
SELECT pg_advisory_xact_lock(hashtext('execution_history compaction'), hashtext(%s));

-- name: compaction
-- The revision up to which the log has only what is current, and the place of the follower that is farthest behind.
SELECT compacted, (SELECT min(revision) FROM execution_history.cursors) FROM execution_history.feed;

-- name: log_after
SELECT revision, workflow_ids, execute_ids, versions, changed_at FROM execution_history.changes
WHERE revision > %s ORDER BY revision LIMIT %s;

-- name: drop_log
DELETE FROM execution_history.changes WHERE revision = ANY (%s::bigint[]);

-- name: rewrite_log
UPDATE execution_history.changes SET workflow_ids = %s::text[], execute_ids = %s::text[], versions = %s::bigint[]
WHERE revision = %s;

-- name: forget_deletions
DELETE FROM execution_history.deletions d
USING unnest(%s::text[], %s::text[], %s::bigint[]) AS k (workflow_id, execute_id, version)
WHERE d.workflow_id = k.workflow_id AND d.execute_id = k.execute_id AND d.version <= k.version;

-- name: forget_entries
DELETE FROM execution_history.registry WHERE value IS NULL AND version <= %s RETURNING version;

-- name: save_compaction
UPDATE execution_history.feed SET compacted = %s, floor = greatest(floor, %s);

-- administration.py

-- name: entry
SELECT value, version FROM execution_history.registry WHERE kind = %s AND key = %s AND value IS NOT NULL;

-- name: entries
SELECT key, value, version FROM execution_history.registry WHERE kind = %s AND key > %s AND value IS NOT NULL
ORDER BY key LIMIT %s;

-- name: kinds
SELECT DISTINCT kind FROM execution_history.registry WHERE value IS NOT NULL;

-- name: entry_version
SELECT version, value IS NULL FROM execution_history.registry WHERE kind = %s AND key = %s;

-- name: save_entry
INSERT INTO execution_history.registry VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (kind, key) DO UPDATE SET
    value = excluded.value, version = excluded.version, changed_at = excluded.changed_at;

-- name: lock_audit
SELECT pg_advisory_xact_lock(hashtext('execution_history audit'), hashtext(%s));

-- name: append_audit
INSERT INTO execution_history.audit
SELECT coalesce(max(number), 0) + 1, %s::bigint, %s, %s, %s::bytea, %s::uuid FROM execution_history.audit
RETURNING number;

-- name: audited
-- The line of an earlier try, whose answer was lost: nearly always the last one.
SELECT number FROM (SELECT number, token FROM execution_history.audit ORDER BY number DESC LIMIT 1000) a
WHERE token = %s;

-- name: audit
SELECT number, at, actor, action, details FROM execution_history.audit WHERE number > %s ORDER BY number LIMIT %s;

-- name: take_lease
-- Returns a row where the owner holds it now.
INSERT INTO execution_history.named_leases AS t VALUES (%s, %s, clock_timestamp() + %s * interval '1 millisecond')
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, ends = excluded.ends
WHERE t.owner = excluded.owner OR t.ends <= clock_timestamp()
RETURNING 1;

-- name: renew_lease
INSERT INTO execution_history.leases VALUES (%s, clock_timestamp() + %s * interval '1 millisecond')
ON CONFLICT (owner) DO UPDATE SET ends = excluded.ends;

-- name: drop_lease
DELETE FROM execution_history.leases WHERE owner = %s;

-- name: leases
-- The milliseconds that remain.
SELECT owner, floor(extract(epoch FROM ends - clock_timestamp()) * 1000) FROM execution_history.leases;

-- name: save_cursor
INSERT INTO execution_history.cursors VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET revision = excluded.revision;

-- name: drop_cursor
DELETE FROM execution_history.cursors WHERE name = %s;

-- name: cursors
SELECT name, revision FROM execution_history.cursors;

-- bin.py

-- name: binned
SELECT workflow_id, execute_id, size, deleted_at, ends, rule FROM execution_history.bin
WHERE ends > %(now)s AND deleted_at <= %(at)s
    AND (deleted_at < %(at)s OR (workflow_id, execute_id) > (%(workflow_id)s, %(execute_id)s))
ORDER BY deleted_at DESC, workflow_id, execute_id LIMIT %(limit)s;

-- name: bin_size
SELECT count(*), coalesce(sum(size), 0)::bigint FROM execution_history.bin WHERE ends > %s;

-- name: binned_documents
SELECT b.workflow_id, b.execute_id, b.create_time, b.update_time, b.status, b.size, b.packing, b.document
FROM unnest(%s::text[], %s::text[]) AS k (workflow_id, execute_id)
JOIN execution_history.bin b ON b.workflow_id = k.workflow_id AND b.execute_id = k.execute_id
WHERE b.ends > %s;

-- name: replace_binned
UPDATE execution_history.bin SET update_time = %s, size = %s, packing = %s, document = %s
WHERE workflow_id = %s AND execute_id = %s AND status = %s AND update_time = %s AND ends > %s RETURNING 1;

-- name: drop_restored
DELETE FROM execution_history.bin b USING unnest(%s::text[], %s::text[]) AS k (workflow_id, execute_id)
WHERE b.workflow_id = k.workflow_id AND b.execute_id = k.execute_id AND b.deleted_at <= %s;

-- name: drop_from_bin
DELETE FROM execution_history.bin b USING unnest(%s::text[], %s::text[]) AS k (workflow_id, execute_id)
WHERE b.workflow_id = k.workflow_id AND b.execute_id = k.execute_id;

-- space.py

-- name: space
-- The bytes of all tables with their indexes, of all documents, and the number of runs.
SELECT (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relkind = 'r'),
    coalesce(sum(size), 0)::bigint, coalesce(sum(running + success + failed + interrupted + other), 0)::bigint
FROM execution_history.counters;

-- store.py

-- name: clear_executions
DELETE FROM execution_history.executions WHERE workflow_id = %s RETURNING
    size, create_time, status, duration, tokens, input_tokens, output_tokens, cost, currency;

-- name: clear_nodes
DELETE FROM execution_history.nodes WHERE workflow_id = %s;

-- name: lock_feed
SELECT revision FROM execution_history.feed FOR UPDATE;

-- name: note_cleared
INSERT INTO execution_history.deletions AS t (workflow_id, execute_id, version, deleted_at, revision, revision_of)
VALUES (%(workflow_id)s, '', %(version)s, %(now)s, %(revision)s, %(version)s) ON CONFLICT (workflow_id, execute_id) DO UPDATE SET version = excluded.version,
    deleted_at = excluded.deleted_at, revision = excluded.revision, revision_of = excluded.revision_of
WHERE t.version < excluded.version;

-- name: drop_empty_counters
DELETE FROM execution_history.counters
WHERE workflow_id = %s AND running = 0 AND success = 0 AND failed = 0 AND interrupted = 0 AND other = 0;

-- name: workflow_summaries
SELECT * FROM (
    SELECT c.*, (SELECT e.create_time FROM execution_history.executions e WHERE e.workflow_id = c.workflow_id
        ORDER BY e.create_time DESC, e.seq DESC LIMIT 1) AS newest
    FROM (SELECT workflow_id, sum(running)::bigint, sum(success)::bigint, sum(failed)::bigint,
            sum(interrupted)::bigint, sum(other)::bigint, max(updated_at), sum(size)::bigint AS size
        FROM execution_history.counters WHERE starts_with(workflow_id, %(prefix)s) GROUP BY workflow_id
        HAVING sum(running + success + failed + interrupted + other) > 0) c
) s
WHERE %(time)s::bigint IS NULL OR newest < %(time)s::bigint OR (newest = %(time)s::bigint AND workflow_id > %(id)s::text)
ORDER BY newest DESC, workflow_id LIMIT %(limit)s;

-- name: lacking
-- What the role may not use.
SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND CASE c.relkind
    WHEN 'S' THEN NOT has_sequence_privilege(c.oid, 'USAGE')
    WHEN 'r' THEN NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
        AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'))
    ELSE false END;

-- name: check_writable
-- Writes a value that nobody waits for.
UPDATE execution_history.dictionaries SET number = number WHERE number = 1;

-- late_terms.py

-- name: missing_terms
SELECT workflow_id, execute_id FROM execution_history.executions WHERE terms IS NULL AND status <> 0 LIMIT %s;

-- name: document_without_terms
SELECT version, create_time, update_time, status, size, packing, document
FROM execution_history.executions WHERE workflow_id = %s AND execute_id = %s AND terms IS NULL;

-- name: save_terms
UPDATE execution_history.executions SET terms = %s::text::integer[]
WHERE workflow_id = %s AND execute_id = %s AND version = %s AND terms IS NULL;

-- verification.py

-- name: server_state
SELECT current_setting('server_version'), current_setting('max_connections')::integer,
    (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend'), pg_is_in_recovery();

-- name: invalid_indexes
SELECT c.relname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND NOT (i.indisvalid AND i.indisready) ORDER BY 1;

-- name: checkable_indexes
-- The B-trees that amcheck can read, and the schema in which that extension is; none without it.
SELECT c.relname, c.oid::bigint, a.nspname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_am m ON m.oid = c.relam AND m.amname = 'btree'
JOIN pg_catalog.pg_extension x ON x.extname = 'amcheck' JOIN pg_catalog.pg_namespace a ON a.oid = x.extnamespace
WHERE n.nspname = %s AND c.relkind = 'i' AND i.indisvalid AND i.indisready ORDER BY 1;

-- name: feed_reach
-- The newest revision of the feed, and the newest that anything has.
SELECT (SELECT revision FROM execution_history.feed), greatest(
    (SELECT coalesce(max(revision), 0) FROM execution_history.changes),
    (SELECT coalesce(max(version), 0) FROM execution_history.registry));

-- name: raise_feed
UPDATE execution_history.feed SET revision = greatest(revision, %s);

-- name: total_counted
SELECT coalesce(sum(running + success + failed + interrupted + other), 0)::bigint
FROM execution_history.total_counters;

-- name: stored_nodes
SELECT n.* FROM unnest(%s::text[], %s::text[]) AS k (workflow_id, execute_id)
JOIN execution_history.nodes n ON n.workflow_id = k.workflow_id AND n.execute_id = k.execute_id;

-- name: rows_to_mend
-- In an order that every process has, so that two do not wait for each other in a circle.
SELECT e.workflow_id, e.execute_id, e.create_time, e.update_time, e.status, e.size, e.packing, e.document, e.version
FROM unnest(%s::text[], %s::text[]) AS k (workflow_id, execute_id)
JOIN execution_history.executions e ON e.workflow_id = k.workflow_id AND e.execute_id = k.execute_id
ORDER BY e.workflow_id, e.execute_id FOR UPDATE OF e;

-- name: newest_arrival
SELECT coalesce(max(seq), 0) FROM execution_history.executions;

-- name: all_times
-- A record comes with the first version of its place.
SELECT seq, execute_id, create_time, version > seq * %s FROM execution_history.executions ORDER BY seq;

-- name: document_at
SELECT workflow_id, execute_id, create_time, update_time, status, size, packing, document
FROM execution_history.executions WHERE seq = %s;

-- name: valid_days
-- Days that were added up, but for those whose sums were taken back.
SELECT s.workflow_id, s.day, s.until, s.has_nodes FROM execution_history.day_stamps s
WHERE s.stamp IS NOT NULL ORDER BY s.workflow_id, s.day;

-- name: sums_of_day
SELECT node, running, success, failed, interrupted, other, tokens, input_tokens, output_tokens, hours, durations
FROM execution_history.days WHERE workflow_id = %s AND day = %s;

-- name: count_missing_terms
SELECT count(*) FROM (
    SELECT 1 FROM execution_history.executions WHERE terms IS NULL AND status <> 0 LIMIT %s) s;

-- tasks.py

-- name: take_task
-- Returns a row where the owner does it now, for a minute unless it takes it again.
INSERT INTO execution_history.named_leases AS t VALUES (%s, %s, clock_timestamp() + interval '1 minute')
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, ends = excluded.ends
WHERE t.owner = excluded.owner OR t.ends <= clock_timestamp()
RETURNING 1;

-- name: leave_task
DELETE FROM execution_history.named_leases WHERE name = %s AND owner = %s;

-- backfill.py

-- name: unfilled
-- Runs that an older process has written; in the order of their index, so that the whole table is never read for none.
SELECT workflow_id, execute_id FROM execution_history.executions
WHERE status NOT IN (0, 3) AND (filled IS NULL OR (filled <> 0 AND filled <> version))
ORDER BY workflow_id, create_time LIMIT %s;

-- name: backfilled
SELECT place, goal FROM execution_history.backfill;

-- name: lacking_columns
-- Runs from before, in a range of the order of arrival, that have none of the columns of migration 4.
SELECT workflow_id, execute_id FROM execution_history.executions
WHERE seq > %s AND seq <= %s AND filled = 0 AND input_tokens IS NULL AND output_tokens IS NULL AND cost IS NULL
    AND log_id IS NULL AND failed_in IS NULL;

-- name: save_backfilled
UPDATE execution_history.backfill SET place = greatest(place, %s);

-- name: fill_columns
UPDATE execution_history.executions e SET input_tokens = v.input_tokens, output_tokens = v.output_tokens,
    cost = v.cost, currency = v.currency, log_id = v.log_id, failed_in = v.failed_in, filled = v.version
FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[],
    %s::text[], %s::text[])
    AS v (workflow_id, execute_id, version, filled, input_tokens, output_tokens, cost, currency, log_id, failed_in)
WHERE e.workflow_id = v.workflow_id AND e.execute_id = v.execute_id AND e.version = v.version
    AND coalesce(e.filled, -1) = v.filled
RETURNING e.workflow_id, e.execute_id;

-- days.py

-- name: unsummed_days
-- Days of workflows with many runs that have no sum, or one of other runs; the newest first.
SELECT r.workflow_id, r.day FROM (
    SELECT workflow_id, hour / 24 AS day, ARRAY[sum(running)::bigint, sum(success)::bigint, sum(failed)::bigint,
        sum(interrupted)::bigint, sum(other)::bigint, sum(tokens)::bigint, sum(input_tokens)::bigint,
        sum(output_tokens)::bigint] AS stamp
    FROM execution_history.rollups WHERE hour >= 0 AND hour < %(end)s AND workflow_id IN (
        SELECT workflow_id FROM execution_history.counters GROUP BY workflow_id
        HAVING sum(running + success + failed + interrupted + other) > %(many)s)
    GROUP BY workflow_id, hour / 24
) r LEFT JOIN execution_history.day_stamps s ON s.workflow_id = r.workflow_id AND s.day = r.day
WHERE s.stamp IS DISTINCT FROM r.stamp ORDER BY r.day DESC, r.workflow_id LIMIT %(limit)s;

-- name: lock_day
INSERT INTO execution_history.day_stamps VALUES (%s, %s, %s, NULL)
ON CONFLICT (workflow_id, day) DO UPDATE SET until = excluded.until;

-- name: figures_of_day
-- Of one moment: the sums of the rollups; of each node by hour and status the runs and their tokens, and by duration the
-- runs; of the workflow the rollups by hour, and the runs by the bucket of their duration.
WITH f AS MATERIALIZED (
    SELECT n.node, n.create_time / 3600000 %% 24 AS hour, n.status, n.duration, n.tokens, n.input_tokens, n.output_tokens
    FROM execution_history.executions e JOIN execution_history.nodes n
        ON n.workflow_id = e.workflow_id AND n.execute_id = e.execute_id
    WHERE %(has_nodes)s AND e.workflow_id = %(workflow_id)s
        AND e.create_time >= %(begin)s * 3600000 AND e.create_time < %(end)s * 3600000
), r AS MATERIALIZED (
    SELECT * FROM execution_history.rollups WHERE workflow_id = %(workflow_id)s AND hour >= %(begin)s AND hour < %(end)s
)
SELECT 0, NULL, 0, 0, ARRAY[coalesce(sum(running), 0)::bigint, coalesce(sum(success), 0)::bigint,
    coalesce(sum(failed), 0)::bigint, coalesce(sum(interrupted), 0)::bigint, coalesce(sum(other), 0)::bigint,
    coalesce(sum(tokens), 0)::bigint, coalesce(sum(input_tokens), 0)::bigint, coalesce(sum(output_tokens), 0)::bigint]
FROM r
UNION ALL SELECT 1, f.node, f.hour, f.status, ARRAY[count(*), sum(f.tokens)::bigint, sum(f.input_tokens)::bigint,
    sum(f.output_tokens)::bigint] FROM f GROUP BY f.node, f.hour, f.status
UNION ALL SELECT 2, f.node, f.duration, f.status, ARRAY[count(*)] FROM f WHERE f.duration IS NOT NULL
    GROUP BY f.node, f.duration, f.status
UNION ALL SELECT 3, NULL, r.hour %% 24, 0, ARRAY[sum(r.running)::bigint, sum(r.success)::bigint, sum(r.failed)::bigint,
    sum(r.interrupted)::bigint, sum(r.other)::bigint, sum(r.tokens)::bigint, sum(r.input_tokens)::bigint,
    sum(r.output_tokens)::bigint] FROM r GROUP BY r.hour
UNION ALL SELECT 4, NULL, d.bucket, 0, ARRAY[sum(d.runs)::bigint] FROM execution_history.durations d
    WHERE d.workflow_id = %(workflow_id)s AND d.hour >= %(begin)s AND d.hour < %(end)s GROUP BY d.bucket;

-- name: drop_day
DELETE FROM execution_history.days WHERE workflow_id = %s AND day = %s;

-- name: stamp_day
UPDATE execution_history.day_stamps SET until = %s, stamp = %s::bigint[], has_nodes = %s WHERE workflow_id = %s AND day = %s;

-- name: clear_days
DELETE FROM execution_history.days WHERE workflow_id = %s;

-- name: clear_stamps
DELETE FROM execution_history.day_stamps WHERE workflow_id = %s;
