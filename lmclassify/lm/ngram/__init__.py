"""N-gram language models: look-up, counts, Witten-Bell smoothing."""
