"""What keeps a history well: backups, and archives of old months."""
