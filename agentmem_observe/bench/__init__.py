"""Finding benchmarks and running each in a fresh worker process."""
