"""What a record is and what is derived from it. Pure."""
