"""Runs of a benchmark: cells, round after round, claimed by any number of processes."""
