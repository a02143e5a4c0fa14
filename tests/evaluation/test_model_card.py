from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from markdown_it import MarkdownIt

from lmclassify import FittedModel
from lmclassify.evaluation.model_card import model_card
from tests.conftest import GOLDEN


def cells(card: str) -> list[list[str]]:
    """Return the rows of all tables of a card, as a Markdown parser reads them."""
    rows: list[list[str]] = []
    for token in MarkdownIt("commonmark").enable("table").parse(card.split("---\n", 2)[2]):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows and token.level > 3:
            rows[-1].append("".join(part.content for part in token.children))
    return rows


def headings(card: str) -> list[str]:
    return [line.lstrip("# ") for line in card.splitlines() if line.startswith("#")]


@pytest.mark.parametrize("name", ["plain", "tuned", "tuned-both-three"])
def test_a_card_has_the_figures_of_the_model(name):
    model = FittedModel.load(GOLDEN / name / "model")
    card = model_card(model, f"models/{name}", 1_234_567)
    assert headings(card)[:1] == [f"Model card: {name}"]
    assert headings(card)[1:] == ["Intended use", "Training data", "Evaluation", "Model", "Limits"]
    facts = dict(row for row in cells(card) if len(row) == 2)
    joint, codes = model.held_out.joint, model.held_out.codes
    right = int((joint.argmax(axis=1) == codes).sum())
    assert facts["Held-out texts"] == str(len(codes))
    assert facts["Accuracy"].startswith(f"{right / len(codes):.0%} (95% interval ")
    assert facts["Size"] == "1.2 MB"
    assert facts["Texts"] == str(model.training_entries("fit")[0]["texts"])
    assert sorted([row[0] for row in cells(card) if len(row) == 3][1:]) == model.label_names
    assert "Licence: *to be stated by the owner of the model*" in card
    assert f"lmclassify predict DATA.csv -m models/{name}" in card
    assert "Labels with fewer than 20 texts are hardly learned" in card
    assert ("not calibrated" in card) == (name == "plain")


def test_marks_of_markdown_are_characters(golden_tuned):
    odd = replace(
        golden_tuned,
        classes_=np.array(["<b>a|b*_c", "`x\n# y"]),
        text_column="[mail](x)",
        training=[
            {"kind": "fit", "started": "2026-01-02T03:04:05", "seconds": 90.0, "texts": 9, "texts_cut": 0, "files": ["a|b_c.csv"]},
            {"kind": "revision", "what": "add", "label": "`x", "texts": 3, "at": "2026-02-03T00:00:00"},
            {"kind": "revision"},
        ],
    )  # fmt: skip
    card = model_card(odd, "it's", 1)
    rows = cells(card)
    assert [row[:2] for row in rows if len(row) == 3][1:] == [
        ["<b>a|b*_c", "unknown"],
        ["`x\\n# y", "unknown"],
    ]
    assert ["Files", "a|b_c.csv"] in rows
    assert ["Text column", "[mail](x)"] in rows
    assert ["Fitted", "2026-01-02"] in rows
    assert "- add \\`x: 3 texts, 2026-02-03\n" in card
    assert "not evaluated on new texts" in card
    assert """-m 'it'"'"'s'\n""" in card
    assert """model = lmclassify.load("it's")\n""" in card
    assert "model.predict(data_frame)  # a pandas.DataFrame with the column '[mail](x)'" in card


def test_without_held_out_texts_nothing_is_claimed(golden_tuned):
    held_out = golden_tuned.held_out
    none = replace(
        held_out,
        joint=held_out.joint[:0],
        codes=held_out.codes[:0],
        ood_features=held_out.ood_features[:0],
        cross_entropies=held_out.cross_entropies[:0],
    )
    card = model_card(replace(golden_tuned, held_out=none, training=[]), "model", 1)
    assert "nothing is known about its accuracy" in card
    assert ["Fitted", "date unknown"] in cells(card)
