"""Images of a campaign on disk: which files are new, moved, changed, broken, or copies of one another."""
