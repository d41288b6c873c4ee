"""What runs periodically, in one process at a time."""
