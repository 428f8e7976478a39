"""Masks: files, class numbers and colours, the store, superpixels."""
