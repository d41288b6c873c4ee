"""Work on a history as a whole: what examines and repairs it."""
