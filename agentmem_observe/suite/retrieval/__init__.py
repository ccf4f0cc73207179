"""What the retrieval benchmarks do."""
