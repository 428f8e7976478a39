"""Use of a trained model outside of the loop: predict, evaluate on a test set, package with ONNX. Loads torch."""
