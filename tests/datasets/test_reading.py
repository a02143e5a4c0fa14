"""How the texts of a model were read, and options that contradict it."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest

import lmclassify
from lmclassify.datasets.reading import Reading
from lmclassify.errors import OptionError
from lmclassify.mail.fields import DEFAULT_FIELDS, FIELDS
from lmclassify.tables.dialect import Dialect
from tests.conftest import run_cli


@dataclass
class Table:
    columns: list[str]
    name: str = "new.csv"
    sample: list[list[str]] = field(default_factory=list)
    header = "row"


def test_fields():
    assert Reading().mail_fields == ("subject",)
    assert Reading(text_columns=("body",)).mail_fields == ("body",)
    assert Reading(text_columns=("review",)).mail_fields == ("subject",)
    assert Reading(("subject", "links"), text_columns=("body",)).choose_fields(None) == ("subject", "links")
    assert Reading(("subject", "links")).choose_fields("links,subject") == ("subject", "links")
    assert Reading().choose_fields("all") == FIELDS
    with pytest.raises(OptionError, match="--fields body: the model was trained on subject,links; drop"):
        Reading(("subject", "links")).choose_fields("body")


def test_columns():
    reading = Reading(text_columns=("review",), label_column="stars")
    both, other = Table(["id", "text", "review", "stars"]), Table(["text", "label"])
    assert reading.choose_text_columns(both, None) == ["review"]
    assert reading.choose_text_columns(both, "review") == ["review"]
    assert reading.choose_text_columns(other, None) is None
    assert reading.choose_text_columns(other, "text") == ["text"]
    with pytest.raises(OptionError, match="trained on column 'review', which new.csv has, too; drop"):
        reading.choose_text_columns(both, "text")
    assert reading.choose_label_column(both, None) == "stars"
    assert reading.choose_label_column(both, "label") == "label"
    assert reading.choose_label_column(other, None) is None
    assert reading.named_columns("a,b", None) == ("a,b", "a", "b", "review", "stars")
    without = Reading(columns=("label", "text"))
    assert without.choose_dialect(Dialect()).expected == ("label", "text")
    assert without.choose_dialect(Dialect(header=True)).expected is None


def test_saved_form():
    reading = Reading(DEFAULT_FIELDS, ("text",), "label", ("label", "text"))
    assert Reading.from_json(json.loads(json.dumps(reading.to_json()))) == reading
    assert Reading.from_json({}) == Reading()
    assert Reading().to_json() == {}
    for wrong in (
        [],
        {"x": "y"},
        {"fields": ["title"]},
        {"fields": []},
        {"fields": "subject"},
        {"text_column": 1},
        {"columns": [1]},
    ):
        with pytest.raises(ValueError, match="that"):
            Reading.from_json(wrong)


def labels(folder: Path, data: str, *options: str) -> list[str]:
    """Write a table and return the labels that predict gives."""
    (folder / "new.csv").write_text(data)
    done = run_cli("predict", "new.csv", "-m", "model", *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    return [row["predicted_label"] for row in csv.DictReader(io.StringIO(done.stdout.decode()))]


def test_commands_read_tables_as_fit_did(tmp_path):
    rows = [f"see you soon,win money now {n},junk\nhello friend,lunch meeting {n},mail" for n in range(25)]
    (tmp_path / "t.csv").write_text("text,headline,kind\n" + "\n".join(rows) + "\n")
    options = ("--recipe", "ngram", "--text-column", "headline", "--label-column", "kind", "-o", "model")
    assert run_cli("fit", "t.csv", *options, cwd=tmp_path).returncode == 0
    found = run_cli("info", "model", cwd=tmp_path).stdout.decode()
    assert "reads       text column 'headline'; label column 'kind'\n" in found
    assert labels(tmp_path, "text,headline\nsee you,win money\nwin money,lunch\n") == ["junk", "mail"]
    assert labels(tmp_path, "text\nwin money\n") == ["junk"]
    frame = pd.DataFrame({"text": ["see you soon"], "headline": ["lunch meeting"]})
    assert lmclassify.load(tmp_path / "model").predict(frame).tolist() == ["mail"]
    done = run_cli("evaluate", "t.csv", "-m", "model", "--format", "json", cwd=tmp_path)
    assert json.loads(done.stdout)["accuracy"] == 1
    done = run_cli("predict", "t.csv", "-m", "model", "--text-column", "text", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"--text-column text: the model was trained on column 'headline'" in done.stderr


def test_tables_without_header(tmp_path):
    rows = [f"junk,win money now {n}\nmail,lunch meeting {n}" for n in range(25)]
    (tmp_path / "t.csv").write_text("\n".join(rows) + "\n")
    assert run_cli("fit", "t.csv", "--recipe", "ngram", "-o", "model", cwd=tmp_path).returncode == 0
    assert labels(tmp_path, "win money\nlunch\n") == ["junk", "mail"]
    assert labels(tmp_path, "mail,win money\nmail,lunch\n") == ["junk", "mail"]
    assert labels(tmp_path, "text\nlunch\n") == ["mail"]
    assert labels(tmp_path, "money\nlunch\n", "--header", "--text-column", "money") == ["mail"]
