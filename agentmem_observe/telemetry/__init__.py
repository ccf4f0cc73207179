"""What is exported: one registry of series, read by every exporter."""
