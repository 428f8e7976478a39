"""Results folder: its protocol, conditions and data, and the files of finished rounds."""
