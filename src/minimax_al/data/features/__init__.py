"""Features as vectors: the store on disk, tables of other programs, samples of a data set."""
