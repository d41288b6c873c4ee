"""What becomes of runs that go on upstream without us."""
