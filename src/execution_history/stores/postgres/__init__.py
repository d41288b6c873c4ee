"""The shared store: a history in PostgreSQL, for several processes and machines."""
