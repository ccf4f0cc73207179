"""What the daemon does: a thread for each job, and what they share."""
