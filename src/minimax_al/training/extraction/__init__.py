"""Extraction of features: each image through a pretrained encoder, once."""
