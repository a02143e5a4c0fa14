"""The tables of `benchmarks.online_mail`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.common import table_head
from benchmarks.mail_stream import FEEDBACK

_MEASURES = {
    "(1-AUC)%": ("one_minus_auc", ".3f"),
    "hm% at sm 1%": ("hm_at_sm_1", ".2f"),
    "hm% at sm 5%": ("hm_at_sm_5", ".2f"),
    "sm% at hm .1%": ("sm_at_hm_01", ".1f"),
    "sm% at hm 1%": ("sm_at_hm_1", ".2f"),
    "sm% at hm 5%": ("sm_at_hm_5", ".2f"),
    "own hm%": ("hm", ".2f"),
    "own sm%": ("sm", ".2f"),
    "unsure %": ("unsure", ".1f"),
}
_COSTS = {
    "read ms": ("read_ms", ".2f"),
    "classify ms": ("classify_ms", ".2f"),
    "99% within": ("classify_ms_p99", ".1f"),
    "teach ms": ("teach_ms", ".2f"),
    "99% within ": ("teach_ms_p99", ".1f"),
    "last tenth": ("teach_ms_last", ".2f"),
    "learned MB": ("size", ".1f"),
    "process MB": ("megabytes", ".0f"),
}
Records = Sequence[dict[str, Any]]


def feedback_tables(records: Records) -> Iterator[str]:
    """Yield the lines of all tables: quality, learning curves, time and memory."""
    shuffled = [record for record in records if record["order"] != "date"]
    by_date = [record for record in records if record["order"] == "date"]
    for feedback in FEEDBACK:
        for order, some in (("shuffled", shuffled), ("by date", by_date)):
            rows = [record for record in some if record["feedback"] == feedback]
            if rows:
                yield from [f"**{feedback} feedback, {order}**", ""]
                yield from _quality(rows)
                yield ""
    for feedback in FEEDBACK:
        rows = [record for record in shuffled if record["feedback"] == feedback]
        if rows:
            yield from [f"**errors in parts of the stream, {feedback} feedback, shuffled**", ""]
            yield from _curve(rows)
            yield ""
    rows = [record for record in records if record["feedback"] == "immediate"]
    if rows:
        yield from ["**time per message and memory, immediate feedback, fastest order**", ""]
        yield from _costs(rows)


def _methods(records: Records) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        found.setdefault(record["method"], []).append(record)
    return found


def _quality(records: Records) -> Iterator[str]:
    yield from table_head("", "orders", *_MEASURES)
    for method, of_method in _methods(records).items():
        cells = [_mean_and_spread(of_method, key, form) for key, form in _MEASURES.values()]
        yield f"| {method} | {len(of_method)} | {' | '.join(cells)} |"


def _mean_and_spread(records: Records, key: str, form: str) -> str:
    """Return mean and standard deviation over the orders."""
    values = [record[key] for record in records if record[key] is not None]
    if not values:
        return ""
    mean = f"{np.mean(values):{form}}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):{form}}"


def _curve(records: Records) -> Iterator[str]:
    parts = sorted({(part["start"], part["end"]) for record in records for part in record["curve"]})
    yield from table_head("", *(f"{start + 1:,} to {end:,}" for start, end in parts))
    for method, of_method in _methods(records).items():
        cells = []
        for start, end in parts:
            found = [
                part
                for record in of_method
                for part in record["curve"]
                if (part["start"], part["end"]) == (start, end)
            ]
            lost, missed = (
                np.mean([part[key] for part in found]) if found else np.nan
                for key in ("ham_lost", "spam_missed")
            )
            cells.append(f"{lost:.1f} + {missed:.1f}")
        yield f"| {method} | {' | '.join(cells)} |"


def _costs(records: Records) -> Iterator[str]:
    """Yield the table of the least time and memory over the orders: other programs only add to them."""
    yield from table_head("", *(name.strip() for name in _COSTS))
    for method, of_method in _methods(records).items():
        cells = []
        for key, form in _COSTS.values():
            values = [record[key] for record in of_method if record[key]]
            scale = 1e6 if key == "size" else 1
            cells.append(f"{min(values) / scale:{form}}" if values else "")
        yield f"| {method} | {' | '.join(cells)} |"
