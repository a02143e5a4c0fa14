"""Metrics, curves, drift, explanations and the HTML report."""
