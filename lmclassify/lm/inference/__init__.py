"""Language models in numpy: scoring, next words, sampling."""
