"""One label added, updated or removed."""
