"""N-gram models: counts, Witten-Bell smoothing."""
