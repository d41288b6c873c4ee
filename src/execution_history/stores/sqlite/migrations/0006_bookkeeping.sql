-- What is not a record, by kind and key; the version is the revision of the last change. Without a value: removed then.
CREATE TABLE registry (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB,
    version INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT;

CREATE UNIQUE INDEX registry_by_version ON registry (version);

-- Who did what, in the order in which it was done.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    details BLOB NOT NULL
) STRICT;

CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

-- Who may do a thing that one process does at a time, until when on the clock of one start of the machine.
CREATE TABLE named_leases (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    boot TEXT NOT NULL,
    ends INTEGER NOT NULL
) STRICT;
