"""Work on a history as a whole: what keeps it in order and takes out what has to go."""
