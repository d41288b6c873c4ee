"""The store that keeps everything in memory: the promise as an executable specification."""
