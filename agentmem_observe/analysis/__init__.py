"""Judgements as pure functions on numbers."""
