"""Texts and labels in the exports of annotation tools: Prodigy, doccano and Label Studio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lmclassify.tables.columns import TEXT_COLUMNS

Record = dict[str, Any]

_ANSWERS = ("accept", "reject", "ignore")
_LABEL_STUDIO = {"annotator", "annotation_id", "created_at", "updated_at", "lead_time"}


@dataclass(frozen=True)
class Export:
    """An export of one tool.

    Attributes
    ----------
    note : str
        How it is read, for the user.
    tool : str
    names : sequence of str
        Label Studio: names of the choices that are labels; `label` is added if there is only one.
    """

    note: str
    tool: str
    names: Sequence[str] = ()

    def fields(self, record: Record) -> Record:
        """Return the fields that a row has in addition, or instead: text and label.

        A text without a label has the label None, one with several labels a list of them.
        """
        if self.tool == "prodigy":
            return {"label": _prodigy_label(record)}
        if self.tool == "doccano":
            return _doccano_fields(record)
        if self.tool == "min":
            return {"label": _one(_choices(record.get(self.names[0])))} if self.names else {}
        return _task_fields(record, self.names)


def recognise_export(records: Sequence[Record]) -> Export | None:
    """Return the export that the first rows of a file come from, if any."""
    if not records:
        return None
    if all(record.get("answer") in _ANSWERS and isinstance(record.get("text"), str) for record in records):
        return Export("Prodigy export, rows that were not accepted have no label", "prodigy")
    if all(_is_task(record) for record in records):
        names = list(dict.fromkeys(name for record in records for name in _annotated(record)))
        used = f", labels of {names[0]!r}" if len(names) == 1 else ""
        more = " (none where annotators disagree)" if any(_differ(record) for record in records) else ""
        return Export(f"Label Studio export{used}{more}", "tasks", names)
    if all({"annotation_id", "lead_time"} <= record.keys() for record in records):
        names = _names_of_choices(records)
        used = f", labels of {names[0]!r}" if len(names) == 1 else ""
        return Export(f"Label Studio export{used}", "min", names if len(names) == 1 else ())
    if all(_is_doccano(record) for record in records):
        return Export("doccano export", "doccano")
    return None


def _one(labels: Sequence[Any]) -> Any:
    """Return the only label, None for no label, or the list of labels."""
    distinct = [label for at, label in enumerate(labels) if label not in labels[:at]]
    return distinct[0] if len(distinct) == 1 else distinct or None


def _prodigy_label(record: Record) -> Any:
    if record["answer"] != "accept":
        return None
    accepted = record.get("accept")
    return _one(accepted) if isinstance(accepted, list) else record.get("label")


def _is_doccano(record: Record) -> bool:
    annotations = record.get("annotations")
    has_labels = any(isinstance(record.get(name), list) for name in ("label", "labels")) or (
        isinstance(annotations, list) and all(isinstance(one, dict) and "label" in one for one in annotations)
    )
    return (
        "id" in record and has_labels and any(isinstance(record.get(name), str) for name in ("text", "data"))
    )


def _doccano_fields(record: Record) -> Record:
    labels = record.get("label", record.get("labels"))
    if labels is None:
        labels = [annotation["label"] for annotation in record.get("annotations") or []]
    found: Record = {"label": _one(labels) if isinstance(labels, list) else labels}
    if "text" not in record:
        found["text"] = record.get("data")
    return found


def _is_task(record: Record) -> bool:
    return isinstance(record.get("data"), dict) and any(
        isinstance(record.get(name), list) for name in ("annotations", "completions")
    )


def _annotated(record: Record) -> dict[str, list[list[Any]]]:
    """Return the choices of each annotator of a Label Studio task, by the name of the choice."""
    found: dict[str, list[list[Any]]] = {}
    for annotation in record.get("annotations") or record.get("completions") or []:
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        chosen: dict[str, list[Any]] = {}
        for result in annotation.get("result") or []:
            value = result.get("value") if isinstance(result, dict) else None
            if isinstance(value, dict) and "choices" in value:
                chosen.setdefault(str(result.get("from_name", "label")), []).extend(_choices(value))
        for name, labels in chosen.items():
            found.setdefault(name, []).append(labels)
    return found


def _differ(record: Record) -> bool:
    return any(
        any(set(map(str, one)) != set(map(str, each[0])) for one in each)
        for each in _annotated(record).values()
    )


def _task_fields(record: Record, names: Sequence[str]) -> Record:
    annotated = _annotated(record)
    found: Record = {}
    for name in names:
        each = annotated.get(name) or [[]]
        agree = all(set(map(str, one)) == set(map(str, each[0])) for one in each)
        found[name] = _one(each[0]) if agree else None
    if len(names) == 1:
        found["label"] = found[names[0]]
    data = record["data"]
    strings = [name for name, value in data.items() if isinstance(value, str)]
    usual = [name for name in TEXT_COLUMNS if name in strings] or strings
    if len(usual) == 1 or usual[:1] == [TEXT_COLUMNS[0]]:
        found["text"] = data[usual[0]]
    return found


def _choices(value: Any) -> list[Any]:
    choices = value.get("choices") if isinstance(value, dict) else value
    if choices is None:
        return []
    return choices if isinstance(choices, list) else [choices]


def _names_of_choices(records: Sequence[Record]) -> list[str]:
    """Return the names of the choices in Label Studio's JSON-MIN, which stand between id and annotator."""
    names: dict[str, None] = {}
    for record in records:
        keys = list(record)
        if "id" in keys and "annotator" in keys and keys.index("id") < keys.index("annotator"):
            between = keys[keys.index("id") + 1 : keys.index("annotator")]
        else:
            between = [key for key in keys if key not in {"id", *_LABEL_STUDIO, *TEXT_COLUMNS}]
        names |= dict.fromkeys(between)
    return list(names)
