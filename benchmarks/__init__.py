"""Scripts behind docs/experiments.md; run as ``python -m benchmarks.NAME``."""
