"""Training of neural language models (torch)."""
