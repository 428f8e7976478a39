"""Independent answers of two annotators to one image: agreement, conflicts, decisions."""
