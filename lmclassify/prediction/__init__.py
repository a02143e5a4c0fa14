"""Rows in, rows with labels out: local and on Ray."""
