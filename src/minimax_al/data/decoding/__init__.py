"""Image files to pixels: decoding, broken files, the square that a network sees."""
