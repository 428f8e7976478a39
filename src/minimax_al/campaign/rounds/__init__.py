"""Rounds of labelling: candidates, picks, filters of the pool, and the state of live labelling."""
