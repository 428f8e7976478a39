"""Inputs of a campaign's models: training data, features of the pool, recipes; and the first choice, without labels."""
