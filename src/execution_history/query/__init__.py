"""Questions about records and what answers them. Pure."""
