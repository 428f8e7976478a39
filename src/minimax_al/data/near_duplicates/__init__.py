"""Near duplicates: pairs of image files that show one photograph, found by perceptual hash and confirmed by pixels."""
