"""Finished results: records, picked images, predictions, packages, the numbers of the paper."""
