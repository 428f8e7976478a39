"""The whole pool of a campaign at once: search, neighbours, maps, labels in bulk, all labels. Loads no torch."""
