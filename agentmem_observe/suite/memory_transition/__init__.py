"""What the transition benchmarks do."""
