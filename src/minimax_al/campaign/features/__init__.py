"""What the models of a campaign learn from: training data, features, recipes; and the first choice, without labels."""
