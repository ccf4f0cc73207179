"""Memory systems under test: the protocol, and one adapter per file."""
