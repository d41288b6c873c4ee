"""The history of every Coze workflow run, on your own disk."""
