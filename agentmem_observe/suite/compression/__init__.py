"""What the compression benchmarks do."""
