"""Data sets for learning: samples, targets, subsets, the pool."""
