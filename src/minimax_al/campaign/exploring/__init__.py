"""Looking at the whole pool: search, neighbours, maps, labels in bulk, and all labels. Loads no torch."""
