"""Work on a history as a whole: what keeps it in order and safe, and takes out what has to go."""
