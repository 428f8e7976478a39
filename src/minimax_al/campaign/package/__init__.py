"""The trained model to take away: weights, ONNX and model card. Loads torch."""
