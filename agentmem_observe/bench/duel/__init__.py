"""Duels: two targets take turns on one CPU, in a fresh pair of processes every round."""
