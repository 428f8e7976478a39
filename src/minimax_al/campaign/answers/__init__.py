"""Answers of annotators: from the lease of an image to the row of the label history."""
