"""Images of a campaign on disk: refresh, fingerprints, duplicates, masks, letterboxes and views."""
