"""Live labelling: a learner refits while annotators answer, and chooses the next images by itself."""
