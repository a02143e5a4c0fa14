"""Durations in words."""

from __future__ import annotations


def format_seconds(seconds: float) -> str:
    """Return a duration as ``8 s``, ``2 min 5 s`` or ``1 h 3 min``."""
    whole = max(1, round(seconds))
    if whole < 100:
        return f"{whole} s"
    if whole < 6000:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
