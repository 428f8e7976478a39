"""Rounds of labelling: which images are asked about, who labels which one, and what the answers are."""
