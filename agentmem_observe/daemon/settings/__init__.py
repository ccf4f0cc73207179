"""What the daemon is told: read from file, environment and command line, checked whole."""
