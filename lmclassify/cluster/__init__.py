"""Helpers for Ray: connection, tasks, streams, process groups."""
