"""What is measured: one recorder, one histogram, one probe per file."""
