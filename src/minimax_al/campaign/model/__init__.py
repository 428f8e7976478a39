"""Learning in a campaign: trains on its labels, measures the models, and chooses the next images. Loads torch."""
