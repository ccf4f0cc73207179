"""A steady load that goes on for months, in windows: what the daemon's soak jobs do."""
