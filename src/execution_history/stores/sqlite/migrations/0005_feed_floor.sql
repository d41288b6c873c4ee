-- When something was deleted (milliseconds), so that the feed can forget it after a while; what was kept so far went now.
ALTER TABLE deletions ADD COLUMN deleted_at INTEGER NOT NULL DEFAULT 0;
UPDATE deletions SET deleted_at = CAST(unixepoch('subsec') * 1000 AS INTEGER);

-- Up to which revision the feed has forgotten deletions: who stands before it has missed some.
ALTER TABLE feed ADD COLUMN floor INTEGER NOT NULL DEFAULT 0;

-- How far the followers of the feed have come; what one of them has not seen yet is not forgotten.
CREATE TABLE cursors (
    name TEXT PRIMARY KEY,
    revision INTEGER NOT NULL
) STRICT;
