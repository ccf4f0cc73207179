"""What survives: runs, windows and results in a directory, whatever happens to disk and daemon."""
