"""What keeps a history in order while it is used: retention and its budget of disk space."""
