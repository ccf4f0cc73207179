"""What the standard suite's benchmarks do, a package per category of ``benchmarks/``."""
