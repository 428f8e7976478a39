"""Use of a trained model outside of the loop: predictions for files, and the package with weights, ONNX and card."""
