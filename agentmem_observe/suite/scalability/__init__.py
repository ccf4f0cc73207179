"""What the scalability benchmarks do."""
