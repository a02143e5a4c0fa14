"""Inference of language models in numpy: scoring, next words, sampling."""
