"""Tables and lists of paths that other programs write: rows, encodings, spellings of names. Loads no torch."""
