"""Masks of a segmentation campaign: class numbers after changes of the classes, drafts, owners."""
