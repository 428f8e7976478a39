"""Results to take away: evaluation on a test set, report, package of the model. Prediction and package load torch."""
