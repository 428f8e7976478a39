"""Rounds of labelling: choice of images, leases to annotators, answers, and the hold-out set."""
