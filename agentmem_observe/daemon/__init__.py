"""Soak tests and scheduled benchmarks that go on for months, and the server that shows them."""
