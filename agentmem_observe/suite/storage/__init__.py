"""What the storage benchmarks do."""
