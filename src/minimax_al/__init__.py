"""Picks the images worth labelling: Minimax Active Learning, its baselines, and the loop around them."""

__version__ = "0.1.0"
