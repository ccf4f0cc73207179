"""What the integration benchmarks do."""
