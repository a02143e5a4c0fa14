"""Scripts behind docs/benchmarks.md; run as ``python -m benchmarks.NAME``."""
