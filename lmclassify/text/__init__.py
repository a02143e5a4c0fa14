"""Tokenizers, sequences of token ids, n-gram extraction, normalization of disguised text."""
