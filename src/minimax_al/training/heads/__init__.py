"""Heads on features: prototypes, linear probe, cross-validation. Each is solved to its optimum, without epochs."""
