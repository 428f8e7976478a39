"""Methods of the class `Campaign`, by subject; each file adds one part."""
