-- Until when a recorder is alive on the clock of one start of the machine, which nobody sets; empty: the system's time tells.
ALTER TABLE leases ADD COLUMN boot TEXT NOT NULL DEFAULT '';
ALTER TABLE leases ADD COLUMN ends INTEGER NOT NULL DEFAULT 0;
