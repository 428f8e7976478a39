"""Training inside a campaign: training data, learning, measuring and prediction. Loads torch."""
