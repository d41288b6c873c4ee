"""One run, from before it begins until it has ended, and what waits while the store cannot take it."""
