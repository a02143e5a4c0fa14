"""From characters to token ids and batches of them."""
